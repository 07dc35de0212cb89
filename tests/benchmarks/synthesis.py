"""Proof of synthesis: speed, a million images, fidelity, use on real photos, determinism and aiming.

    make bench-synthesis                       all parts, about an hour and a half on two cores
    SHORT=1 make bench-synthesis               under ten minutes: small numbers; goals that need the full ones stay open
    PARTS=speed,fidelity make bench-synthesis  some parts, measured anew
    PYTHONPATH=. python tests/benchmarks/synthesis.py speed fidelity    the same

A killed run goes on where it stood: finished parts, trained models and shards lie in $DETENT_HOME/bench/synthesis
(synthesis-short) until all parts are done. Contact sheets stay there. Prints a table and writes
$DETENT_HOME/bench/synthesis.json. NUM_IMAGES scales the million; BPY_PYTHON names a Python that has Blender's bpy, for
the comparison with Cycles.

Data, beside the repository in ../shared/data: the Grocery Store Dataset (Klasson et al. 2019; val is held back), 24
furniture models, 400 photos of rooms. Transfers are traced by LLVM where it works; the scalar variant takes far longer.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import click

from tests.benchmarks.figures import Figure, keep, named_parts, show

PARTS = ("speed", "fidelity", "determinism", "million", "use", "aiming")


def main(arguments: Sequence[str]) -> None:
    """Measure the parts named, or all; print and write what is known of every part."""
    from tests.benchmarks.imaging.lab import HOME, remembered_figures, require_data

    named = named_parts(PARTS, arguments=arguments)
    require_data()
    figures: list[Figure] = []
    for part in PARTS:
        path = HOME / f"{part}.json"
        if part in named:
            path.unlink(missing_ok=True)
        if part in named or (not named) or path.is_file():
            started = time.perf_counter()
            figures += [show(figure) for figure in remembered_figures(part, lambda part=part: _measure(part))]
            click.echo(f"    {part}: {time.perf_counter() - started:.0f} s")
    keep("synthesis", figures)
    if not named:
        for leftover in HOME.iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover)
            elif leftover.suffix != ".png":
                leftover.unlink()


def _measure(part: str) -> list[Figure]:
    """The figures of one part; its module is imported here, so that worker processes start quickly."""
    if part == "aiming":
        from tests.benchmarks.aiming import measure_aiming

        with tempfile.TemporaryDirectory() as folder:
            return measure_aiming(Path(folder))
    measure: Callable[[], list[Figure]] = getattr(import_module(f"tests.benchmarks.imaging.{part}"), f"measure_{part}")
    return measure()


if __name__ == "__main__":
    main(sys.argv[1:])
