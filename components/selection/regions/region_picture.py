"""Draws where the errors are: each tested region against the rest, and the error rate along each factor."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from components.core.files import write_bytes
from components.selection.gate.bounds import Binomial
from components.selection.regions.error_regions import RegionReport, RegionTest
from components.selection.regions.region_tree import Condition, ErrorTable

_NAMED, _OTHER, _REST, _GROUND = "#b3261e", "#8a8f98", "#3b6ea8", "#f4d9d6"
_NUM_BINS, _MOST_FACTORS, _MOST_WORDS, _COLUMNS = 8, 9, 24, 3
_LEVEL = 0.025  # each side of a 95% interval


def draw_regions(report: RegionReport, table: ErrorTable, path: Path) -> Path:
    """Draw the regions of a report, and the rates along the factors of `table`, to a PNG at `path`; returns it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    factors = list(report.factors)[:_MOST_FACTORS]
    num_rows = -(-len(factors) // _COLUMNS)
    top = 1.1 + 0.42 * max(1, len(report.tests))
    figure = Figure(figsize=(11, top + 2.6 * num_rows), layout="constrained")
    FigureCanvasAgg(figure)
    upper, *lower = figure.subfigures(1 + bool(factors), 1, height_ratios=[top, 2.6 * num_rows][: 1 + bool(factors)],
                                      squeeze=False)[:, 0]  # fmt: skip
    title = f"errors inside each region and outside it, on {report.num_tested} samples that had no part in finding it"
    upper.suptitle(title, x=0.01, ha="left", fontsize=10)
    _draw_tests(upper.subplots(), report)
    if lower:
        lower[0].suptitle(
            "error rate along each factor, all samples; dashed: overall; red: where regions are named",
            x=0.01, ha="left", fontsize=10,
        )  # fmt: skip
        axes = lower[0].subplots(num_rows, _COLUMNS, squeeze=False, sharey=True).ravel()
        for axis in axes[len(factors) :]:
            axis.set_visible(False)
        for axis, name in zip(axes, factors, strict=False):
            _draw_factor(axis, name, table, report)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes(path, buffer.getvalue())
    return path


def _draw_tests(axis: Any, report: RegionReport) -> None:
    """One line a region: its rate with a 95% interval in red or grey, the rest's in blue."""
    for place, test in enumerate(report.tests):
        colour = _NAMED if test.named else _OTHER
        for y, k, n, shade in (
            (place, test.errors, test.n, colour),
            (place + 0.22, test.rest_errors, test.rest_n, _REST),
        ):
            rate = Binomial(k, n)
            axis.plot([rate.lower(_LEVEL), rate.upper(_LEVEL)], [y, y], color=shade, linewidth=2, solid_capstyle="butt")
            axis.plot(rate.point, y, "o", color=shade, markersize=6 if shade != _REST else 4)
    axis.set_yticks(range(len(report.tests)), [_label(test) for test in report.tests], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.grid(axis="x", color="#e4e4e4")
    axis.spines[["top", "right", "left"]].set_visible(False)
    if not report.tests:
        axis.text(0.5, 0.5, "no region was tested", ha="center", transform=axis.transAxes, color=_OTHER)
    for colour, text in ((_NAMED, "named"), (_OTHER, "not named"), (_REST, "outside it")):
        axis.plot([], [], "o-", color=colour, label=text)
    axis.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)


def _label(test: RegionTest) -> str:
    text = test.region.text()
    return f"{text if len(text) <= 64 else text[:63] + '…'}  (n={test.n})"


def _draw_factor(axis: Any, name: str, table: ErrorTable, report: RegionReport) -> None:
    if name in table.numbers:
        _draw_numbers(axis, name, table, report)
    else:
        _draw_words(axis, name, table, report)
    axis.axhline(report.errors / max(1, report.n), color=_REST, linewidth=1, linestyle="--")
    axis.set_title(name, fontsize=9)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_numbers(axis: Any, name: str, table: ErrorTable, report: RegionReport) -> None:
    """The rate in bins that hold equally many samples; the ranges of named regions shaded."""
    values = table.numbers[name]
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _NUM_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, values[known], side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    rates = np.bincount(bins, weights=table.wrong[known], minlength=len(edges) - 1) / np.maximum(counts, 1)
    for condition in _conditions(report, name):
        low = edges[0] if condition.low is None else condition.low
        high = edges[-1] if condition.high is None else condition.high
        axis.axvspan(low, high, color=_GROUND, linewidth=0)
    axis.bar(edges[:-1], rates, np.diff(edges), align="edge", color=_OTHER, edgecolor="white", linewidth=0.6)


def _draw_words(axis: Any, name: str, table: ErrorTable, report: RegionReport) -> None:
    """The rate of each word, the highest first; those of named regions in red."""
    values = table.words[name]
    words = sorted({value for value in values if value is not None})
    rates = {word: float(table.wrong[values == word].mean()) for word in words}
    shown = sorted(words, key=lambda word: -rates[word])[:_MOST_WORDS]
    named = {word for condition in _conditions(report, name) for word in condition.words}
    colours = [_NAMED if word in named else _OTHER for word in shown]
    axis.bar(range(len(shown)), [rates[word] for word in shown], color=colours)
    axis.set_xticks(range(len(shown)), [word[:14] for word in shown], rotation=90)


def _conditions(report: RegionReport, name: str) -> list[Condition]:
    return [condition for test in report.named for condition in test.region.conditions if condition.factor == name]
