"""Proof of the gate: validity, power, scale, and who catches what, beside point estimates, Bonferroni and MLflow.

    make bench-gate                      all of it, about forty minutes on two cores
    SHORT=1 make bench-gate              under ten minutes; a goal that needs the full numbers is left open
    PARTS=power,years make bench-gate    some of it

Prints a table and writes $DETENT_HOME/bench/gate.json. The pairs of trained networks need the shared CIFAR-10
images; without them their rows are missing, and the table says so.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from components.core.progress import track
from components.selection.gate.policy import SpendingPolicy
from tests.benchmarks.certification import (
    accuracy,
    advice,
    analysts,
    bursts,
    faults,
    histories,
    labels,
    lifetimes,
    lost,
    pairs,
    photos,
    power,
    scale,
    stores,
    years,
)
from tests.benchmarks.figures import SHORT, Figure, keep, named_parts, show

SEED = 0
LIVES = 4000 if SHORT else 10_000
REPEATS = 20 if SHORT else 100
RESAMPLES = 300 if SHORT else 2000
ROWS = 12_000_000 if SHORT else 100_000_000
GOAL_ROWS, GOAL_S, GOAL_GB = 100_000_000, 60.0, 2.0


def main() -> None:
    """Measure the parts named, or all of them; print and write."""
    chosen = named_parts(PARTS, arguments=sys.argv[1:]) or list(PARTS)
    figures = []
    for name in chosen:
        started = time.perf_counter()
        figures += [show(figure) for figure in PARTS[name]()]
        click.echo(f"  {name}: {time.perf_counter() - started:.0f} s")
    keep("gate", figures)


def measure_validity() -> Iterator[Figure]:
    """The worst cell of all settings, as an exact sum where there is one and else as its Monte Carlo bound."""
    histories.check(SpendingPolicy(), seed=SEED)
    shares: dict[tuple[str, int], list[dict[str, float]]] = {}
    worst_of: dict[bool, float] = {True: 0.0, False: 0.0}
    num_cells = 0
    for cell in track(lifetimes.cells(short=SHORT), "simulating lives"):
        found = lifetimes.wrong_promotions(cell, lives=LIVES, seed=SEED)
        is_shipped = cell.structure == "params.yaml"
        bound = lifetimes.certain(cell, found["detent"], LIVES)
        worst_of[is_shipped] = max(worst_of[is_shipped], bound)
        num_cells += 1
        shares.setdefault((cell.structure, cell.looks), []).append(found)
    _tell(shares)
    worst = {gate: max(one[gate] for found in shares.values() for one in found) for gate in lifetimes.GATES}
    for is_shipped, certain in worst_of.items():
        where = "the policy of params.yaml" if is_shipped else "one kind of limit"
        yield Figure(
            name=f"wrong promotions, worst setting of {where} (99% Monte Carlo bound, or exact)",
            value=certain,
            goal="at most 5%",
            met=certain <= lifetimes.ALPHA,
            peer=f"point estimate {worst['point']:.1%}",
            ratio=worst["detent"] / worst["point"],
            seeds=[SEED],
            spread=f"{num_cells} settings in all, {LIVES} lives each, observed {worst['detent']:.2%}",
        )
    for gate, label in (("uncorrected", "an uncorrected bound"), ("bonferroni", "naive Bonferroni, blind to groups")):
        yield Figure(name=f"the same for {label}", value=worst[gate], seeds=[SEED])


def _tell(shares: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    heads = "".join(f"{gate:>13s}" for gate in lifetimes.GATES)
    click.echo(f"  share of lives with a wrong promotion, worst setting{'':12s}{heads}")
    for (structure, looks), found_here in sorted(shares.items()):
        worst_here = {gate: max(one[gate] for one in found_here) for gate in lifetimes.GATES}
        told = "".join(f"{share:13.2%}" for share in worst_here.values())
        click.echo(f"    {structure:12s} {looks:3d} candidates, {len(found_here):2d} settings {'':18s}{told}")


def measure_analysts() -> Iterator[Figure]:
    """Analysts who learn from the answers: open reporting without burning breaks, the seal keeps."""
    for name, share in analysts.wronged(lives=LIVES, seed=SEED).items():
        sealed = name.endswith("sealed")
        yield Figure(
            name=f"analyst who {name}" if not name.startswith("best") else f"analyst with the {name}",
            value=share,
            goal="at most 5%" if sealed else "",
            met=lifetimes.share_upper(share, LIVES) <= lifetimes.ALPHA if sealed else None,
            seeds=[SEED],
            spread=f"99% bound {lifetimes.share_upper(share, LIVES):.2%}",
        )
    yield Figure(
        name="groups of 20 that flip together at 1%, taken as independent (exact)", value=lifetimes.ungrouped_error()
    )


def measure_power() -> Iterator[Figure]:
    """Exact power at half the limit, by history of the split."""
    for line in power.table():
        click.echo(line)
    bootstrap, untouched = frozenset({1}), frozenset[int]()
    goals = ((1, untouched, 0.92), (20, untouched, 0.80), (2, bootstrap, 0.93), (20, bootstrap, 0.70))
    for look, promoted_at, goal in goals:
        value = power.promoted(5000, 0.005, 10, histories.level(look, promoted_at))
        peer = power.promoted(5000, 0.005, 10, power.bonferroni(10))
        before = "the bootstrap promoted" if promoted_at else "nothing promoted before"
        yield Figure(
            name=f"power, n 5,000, rate 0.5%, limit 1%, ten slices at 5%, look {look}, {before}",
            value=value,
            goal=f"at least {goal:.0%}",
            met=value >= goal,
            peer=f"Bonferroni {peer:.1%}",
            ratio=value / peer,
        )
    yield Figure(
        name="the same at look 20 with the weights 6 / (pi k)^2",
        value=power.promoted(5000, 0.005, 10, power.slow_decay(20)),
    )


def measure_shipped_power() -> Iterator[Figure]:
    """A good candidate under the whole policy of params.yaml, by look and history."""
    draws = 4000 if SHORT else 20_000
    cases = {
        "every look from 2 to 21 after the bootstrap alone, the worst": [(k, frozenset({1})) for k in range(2, 22)],
        "look 8, every fifth promoted": [(8, histories.every(5, 8))],
        "look 5, every third promoted": [(5, histories.every(3, 5))],
        "look 12, every fifth promoted": [(12, histories.every(5, 12))],
        "look 12, every third promoted": [(12, histories.every(3, 12))],
        "look 21, every fifth promoted": [(21, histories.every(5, 21))],
        "look 21, every third promoted": [(21, histories.every(3, 21))],
    }
    for number, (name, looks) in enumerate(cases.items()):
        levels = [histories.level(look, promoted_at) for look, promoted_at in looks]
        value = min(power.shipped_at(levels, draws=draws, seed=SEED))
        yield Figure(
            name=f"power under params.yaml, n 1,346, 0.4% flips, equal accuracy: {name}",
            value=value,
            goal="at least 80%" if number < 3 else "",
            met=value >= 0.8 if number < 3 else None,
            seeds=[SEED],
            spread=f"level down to 1 in {1 / min(levels):,.0f}",
        )


def measure_faults() -> Iterator[Figure]:
    """Planted regressions against the gate, MLflow's validation and McNemar alone."""
    click.echo("  share refused            detent   mlflow  mcnemar")
    for fault in track(faults.FAULTS, "planting regressions"):
        shares = faults.blocked(fault, repeats=REPEATS, seed=SEED)
        click.echo(f"  {fault:34s}" + "  ".join(f"{share:6.0%}" for share in shares.values()))
        harmless = fault in faults.HARMLESS
        yield Figure(
            name=f"refused: {fault}",
            value=shares["detent"],
            goal="at most 10% (harmless)" if harmless else "at least 95%",
            met=shares["detent"] <= 0.10 if harmless else shares["detent"] >= 0.95,
            peer=f"MLflow {shares['mlflow']:.0%}, McNemar {shares['mcnemar']:.0%}",
            seeds=[SEED],
            spread=f"{REPEATS} repeats",
        )


def measure_pairs() -> Iterator[Figure]:
    """Twenty trained pairs on CIFAR-10, resampled."""
    if not pairs.DATA.is_dir():
        click.echo("  no trained pairs: the shared CIFAR-10 images are not here")
        return
    trained = pairs.verdict_pairs(seed=SEED)
    single = pairs.violations(trained, resamples=RESAMPLES, seed=SEED)
    yield Figure(
        name="wrong promotions on real predictions, 20 trained pairs, one look",
        value=single["detent"],
        goal="at most 5%",
        met=single["detent"] <= 0.05,
        peer=f"point estimate {single['point']:.1%}",
        ratio=single["detent"] / single["point"],
        seeds=[SEED],
        spread=f"{single['chances']:.0f} chances to err",
    )
    search = pairs.searched(trained, resamples=RESAMPLES, seed=SEED)
    yield Figure(
        name="the same for a search over the 20 pairs, all over the limit",
        value=search["detent"],
        goal="at most 5%",
        met=lifetimes.share_upper(search["detent"], RESAMPLES) <= 0.05,
        peer=f"point estimate {search['point']:.1%}, uncorrected {search['uncorrected']:.1%}",
        ratio=search["detent"] / search["point"],
        seeds=[SEED],
        spread=f"{RESAMPLES} resamples",
    )


def measure_small() -> Iterator[Figure]:
    """Ten thousand samples, decision without report."""
    seconds = min(scale.decide_small() for _ in range(3))
    yield Figure(name="10,000 samples, decision without report, s", value=seconds, goal="under 1", met=seconds < 1.0)


def measure_scale() -> Iterator[Figure]:
    """Long tables: the gate at two lengths (linear?), and the peers where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        costs = {}
        for where, rows in ((small, ROWS // 10), (large, ROWS)):
            where.mkdir()
            if shutil.disk_usage(folder).free < rows * 60:
                click.echo(f"  no room for {rows:,} pairs on this disk")
                return
            scale.write_tables(where, rows)
            costs[rows] = scale.measure("gate", where)
        duck, frame = scale.measure("duckdb", small), scale.measure("pandas", small)
        cost, tenth = costs[ROWS], costs[ROWS // 10]
    full = ROWS == GOAL_ROWS
    name = f"{ROWS:,} pairs, 20 slice columns, from Parquet"
    yield Figure(
        name=f"{name}, s on the clock",
        value=cost.wall_s,
        goal=f"under {GOAL_S:.0f} at {GOAL_ROWS:,}",
        met=cost.wall_s < GOAL_S if full else None,
        spread=f"{cost.core_s:.0f} core seconds",
    )
    yield Figure(
        name=f"{name}, peak GB",
        value=cost.peak_gb,
        goal=f"under {GOAL_GB:.0f}",
        met=cost.peak_gb < GOAL_GB if full else None,
    )
    yield Figure(name="core seconds for ten times the pairs, ratio (10 is linear)", value=cost.core_s / tenth.core_s)
    for tool, peer in (("DuckDB", duck), ("pandas", frame)):
        yield Figure(
            name=f"{tool} on {ROWS // 10:,} pairs, s",
            value=peer.wall_s,
            peer=f"detent {tenth.wall_s:.1f} s, {tenth.peak_gb:.1f} GB; {tool} {peer.peak_gb:.1f} GB",
            ratio=tenth.wall_s / peer.wall_s,
        )


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "power": measure_power,
    "shipped-power": measure_shipped_power,
    "accuracy": accuracy.figures,
    "validity": measure_validity,
    "analysts": measure_analysts,
    "groups": bursts.figures,
    "labels": labels.figures,
    "advice": advice.figures,
    "years": years.figures,
    "lost": lost.figures,
    "stores": stores.figures,
    "photos": photos.figures,
    "faults": measure_faults,
    "pairs": measure_pairs,
    "small": measure_small,
    "scale": measure_scale,
}


if __name__ == "__main__":
    main()
