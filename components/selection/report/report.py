"""Writes the gate's report: one HTML file, without network, that a release manager understands in a minute.

It shows the Decision and, of the rows behind it, the split that the Decision shows; nothing of a sealed
certify split can come in. Everything from tables is escaped (autoescape), the script only hides and shows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from components.core.decisions import Decision, SliceCheck
from components.core.files import write_text
from components.selection.gate import words
from components.selection.gate.flips import Rows
from components.selection.report import charts, gallery
from components.selection.report.charts import Point, Series

MAX_SLICES, MAX_TRUTHS = 200, 300
_TEMPLATE = "report.html.j2"


def write_report(
    path: Path,
    decision: Decision,
    *,
    rows: Rows | None = None,
    show: gallery.ShowById | None = None,
    peers: Sequence[Decision] = (),
) -> None:
    """Write the report atomically.

    `rows` are those that the decision shows (`assembly.rows_for`), `show` gives pictures and words of a sample by its
    id, and `peers` are the decisions on the release's other candidates, for the frontier.
    """
    write_text(path, render(decision, rows=rows, show=show, peers=peers))


def render(
    decision: Decision,
    *,
    rows: Rows | None = None,
    show: gallery.ShowById | None = None,
    peers: Sequence[Decision] = (),
) -> str:
    """The report as HTML; equal input gives equal text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    shown = gallery.build(decision, rows, show)
    slices = sorted(decision.slices, key=_slice_order)
    return environment.get_template(_TEMPLATE).render(
        decision=decision,
        digest=decision.digest,
        gallery=shown,
        max_cards=gallery.MAX_CARDS,
        truths=_few({card.truth for card in shown.cards}),
        slice_names=sorted({name for card in shown.cards for name in card.slices}),
        slices=slices[:MAX_SLICES],
        num_slices=len(slices),
        bar=_bar,
        words=words,
        frontier=_frontier(decision, peers),
        histograms=_histograms(rows),
    )


def _few(truths: Collection[str]) -> list[str]:
    """The truths to choose among, where there are few enough for a list; a free text's are not."""
    return sorted(truths) if len(truths) <= MAX_TRUTHS else []


def _slice_order(row: SliceCheck) -> tuple[bool, float, float, str, str]:
    """The strongest evidence of harm first, whatever the size; where there is none, how far the rate could reach."""
    p_over = round(row.p_over, 6) if row.p_over is not None else 1.0  # a decision of the first schema has none
    return row.result != "broken", p_over, -(row.upper or 0.0) / row.limit, row.column, row.value


def _bar(rate: float | None, lower: float | None, upper: float | None, limit: float | None, result: str) -> Markup:
    if rate is None or lower is None or upper is None or not limit:
        return Markup("")
    return charts.interval(rate, lower, upper, limit, result.replace(" ", "-"))


def _frontier(decision: Decision, peers: Sequence[Decision]) -> Markup:
    known = [one for one in (decision, *peers) if one.counts is not None and one.paired is not None]
    if not known:
        return Markup("")
    points = [
        Point(
            name=one.candidate,
            flips=one.counts.rate_of_all,
            accuracy=one.counts.new_accuracy,
            kind=one.outcome.lower() + (" this" if one is decision else ""),
        )
        for one in known
        if one.counts is not None
    ]
    champion = known[0].counts
    if champion is not None:
        points.append(Point(name="champion", flips=0.0, accuracy=champion.old_accuracy, kind="champion"))
    limit = next((check.limit for check in decision.checks if check.name == "negative flips"), None)
    lines = [("limit", "limit", limit)] if limit is not None else []
    if decision.noise_floor is not None:
        lines.append(("reseed floor", "floor", decision.noise_floor.rate))
    return charts.frontier(points, lines)


def _histograms(rows: Rows | None) -> tuple[Markup, ...]:
    if rows is None:
        return ()
    drawn = []
    for title, table, verdict in (("champion", rows.old_table, rows.old), ("candidate", rows.new_table, rows.new)):
        scores = table["score"].to_numpy()
        scores = np.where(np.isfinite(scores), scores, 0.0).astype(np.float32)
        if not scores.any():
            return ()
        series = [Series(name="right", css="right", scores=scores[verdict == 1])]
        series.append(Series(name="not right", css="wrong", scores=scores[verdict != 1]))
        if title == "candidate":
            broken = (rows.old == 1) & (rows.new != 1)
            series.append(Series(name="broken", css="broken", scores=scores[broken]))
        drawn.append(charts.histogram(series, f"Confidence of the {title}"))
    return tuple(drawn)
