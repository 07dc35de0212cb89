"""The rows of a table of treatments, as text, as figures and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from components.selection.search.frontier import Outcome
from components.selection.search.frontier_picture import Landmarks, Spot, draw_frontier
from tests.benchmarks.figures import Figure
from tests.benchmarks.flips.rates import Rates, interval, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm over the seeds: what it reached on the final split, and its costs."""

    name: str
    found: tuple[Rates, ...]
    core_s: float
    multiply_adds: int
    note: str = ""

    def flips(self) -> list[float]:
        """NFR by seed."""
        return [one.flips for one in self.found]

    def accuracies(self) -> list[float]:
        """Accuracy by seed."""
        return [one.accuracy for one in self.found]


def row_figures(scenario: str, rows: Mapping[str, Row], floor: float | None) -> Iterator[Figure]:
    """Negative flips of every row, with what else it reached."""
    for row in rows.values():
        seeds = ", ".join(
            f"{right:.2%}/{flips:.2%}" for right, flips in zip(row.accuracies(), row.flips(), strict=True)
        )
        yield Figure(
            name=f"{scenario}: negative flips, {row.name}, %",
            value=100 * interval(row.flips())[0],
            spread=f"{told(row.flips())}; accuracy {told(row.accuracies())}; {row.core_s:.0f} core s to train; {seeds}",
            seeds=list(range(len(row.found))),
        )
    if floor is not None:
        yield Figure(name=f"{scenario}: negative flips, a reseed of the old network, %", value=100 * floor)


def setting_told(setting: Mapping[str, Any]) -> str:
    """A recipe's changed fields in few words."""
    short = {"distill_weight": "weight", "distill_form": "", "flip_limit": "limit"}
    return " ".join(f"{short.get(name, name)} {value}".strip() for name, value in setting.items() if value is not True)


def print_table(title: str, rows: Mapping[str, Row], floor: float | None) -> None:
    """The table of the issue, a row an arm."""
    click.echo(f"\n{title}; final split, mean and 95% interval over seeds")
    click.echo(
        f"  {'':30s}{'old':>7s} {'accuracy':>15s} {'NFR':>13s} {'rel.':>5s} {'gains':>7s} {'bound':>7s} {'core s':>7s} "
        f"{'M mult-adds':>11s} seeds"
    )
    for row in rows.values():
        mean = {
            name: float(np.mean([getattr(one, name) for one in row.found])) for name in ("gains", "bound", "relative")
        }
        old = float(np.mean([one.old_accuracy for one in row.found]))
        click.echo(
            f"  {row.name:30s}{old:7.2%} {told(row.accuracies()):>15s} {told(row.flips()):>13s} "
            f"{mean['relative']:5.2f} {mean['gains']:7.2%} {mean['bound']:7.2%} "
            f"{row.core_s:7.0f} {row.multiply_adds / 1e6:11.1f} {len(row.found):5d}  {row.note}"
        )
    if floor is not None:
        click.echo(f"  a reseed of the old network flips {floor:.2%}")


def draw(path: Path, title: str, rows: Mapping[str, Row], floor: float | None) -> None:
    """Accuracy over flips of every row."""
    spots = [
        Spot(
            outcome=Outcome(accuracy=float(np.mean(row.accuracies())), flips=float(np.mean(row.flips()))),
            cost=row.core_s,
            name=row.name,
        )
        for row in rows.values()
    ]
    landmarks = Landmarks(
        champion_accuracy=float(np.mean([one.old_accuracy for one in rows["untreated"].found])),
        reseed_flips=floor,
        split="final split",
        cost_name="core seconds to train",
        title=title,
    )
    draw_frontier(path, spots, landmarks)
    click.echo(f"drawn: {path}")
