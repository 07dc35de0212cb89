"""What every benchmark prints and keeps: one row a figure, as a table and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from components.core.files import write_json

SHORT = os.environ.get("SHORT") == "1"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure; `met` is None where there is no goal, or where this run is too short to tell."""

    name: str
    value: float
    goal: str = ""
    met: bool | None = None
    peer: str = ""
    ratio: float | None = None
    seeds: list[int] | None = None
    spread: str = ""


def show(figure: Figure) -> Figure:
    """Print one line of the table and hand the figure back."""
    met = {True: "met", False: "MISSED", None: "-"}[figure.met]
    peer = f"{figure.peer} (ratio {figure.ratio:.3f})" if figure.ratio is not None else figure.peer
    rest = "; ".join(part for part in (peer, figure.spread) if part)
    click.echo(f"{figure.name:88s} {figure.value:10.5g}  {figure.goal:20s} {met:7s} {rest}")
    return figure


def keep(name: str, figures: Iterable[Figure]) -> None:
    """Write the figures to `$DETENT_HOME/bench/NAME.json`."""
    path = Path(os.environ.get("DETENT_HOME", ".detent")) / "bench" / f"{name}.json"
    write_json(path, [asdict(figure) for figure in figures])
    click.echo(f"written to {path}")
