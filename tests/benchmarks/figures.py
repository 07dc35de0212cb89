"""What every benchmark prints and keeps: one row a figure, as a table and as JSON."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from components.core.files import write_json

SHORT = os.environ.get("SHORT") == "1"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure; `met` is None where there is no goal, or where this run is too short to tell."""

    name: str
    value: float | None
    goal: str = ""
    met: bool | None = None
    peer: str = ""
    ratio: float | None = None
    seeds: list[int] | None = None
    spread: float | None = None


def show(figure: Figure) -> Figure:
    """Print one line of the table and hand the figure back."""
    verdict = {True: "met", False: "MISSED", None: "-"}[figure.met]
    value = "-" if figure.value is None else f"{figure.value:.4g}"
    spread = f" +-{figure.spread:.2g}" if figure.spread is not None else ""
    peer = f"{figure.peer} (ratio {figure.ratio:.2f})" if figure.ratio is not None else figure.peer
    seeds = f" seeds {figure.seeds}" if figure.seeds else ""
    click.echo(f"{figure.name:58} {value:>10}{spread:9} {figure.goal:14} {verdict:7} {peer}{seeds}")
    return figure


def keep(name: str, figures: list[Figure]) -> None:
    """Write the figures to `$DETENT_HOME/bench/NAME.json`."""
    path = Path(os.environ.get("DETENT_HOME", ".detent")) / "bench" / f"{name}.json"
    write_json(path, [asdict(figure) for figure in figures])
    click.echo(f"written to {path}", err=True)
