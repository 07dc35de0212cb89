"""What every benchmark prints and keeps: one row a figure, as a table and as JSON."""

from __future__ import annotations

import os
import sys
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


def named_parts(parts: Iterable[str], *, arguments: Iterable[str] = ()) -> list[str]:
    """The parts of a benchmark that the command line or PARTS names, in their own order; none named is none here."""
    known = list(parts)
    named = {*arguments, *filter(None, os.environ.get("PARTS", "").split(","))}
    strange = sorted(named - set(known))
    if strange:
        sys.exit(f"unknown parts {strange}; known: {', '.join(known)}")
    return [part for part in known if part in named]
