"""Proof of the gate: validity, power, scale, and who catches what, beside point estimates, Bonferroni and MLflow.

    make bench-gate            all of it, about twenty minutes on two cores
    SHORT=1 make bench-gate    under ten minutes; a goal that needs the full numbers is left open

Prints a table and writes $DETENT_HOME/bench/gate.json. The pairs of trained networks need the shared CIFAR-10
images; without them their rows are missing, and the table says so.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from components.core.progress import track
from tests.benchmarks.certification import faults, lifetimes, pairs, power, scale
from tests.benchmarks.figures import SHORT, Figure, keep, show

SEED = 0
LIVES = 10_000
REPEATS = 20 if SHORT else 100
RESAMPLES = 300 if SHORT else 2000
ROWS = 12_000_000 if SHORT else 100_000_000
GOAL_ROWS, GOAL_S, GOAL_GB = 100_000_000, 60.0, 2.0


def main() -> None:
    """Measure, print and write."""
    figures = [*measure_power(), *measure_validity(), *measure_analysts(), *measure_faults()]
    figures += [*measure_pairs(), *measure_small(), *measure_scale()]
    keep("gate", [show(figure) for figure in figures])


def measure_validity() -> Iterator[Figure]:
    """The worst cell of all settings, as an exact sum where there is one and else as its Monte Carlo bound."""
    shares: dict[tuple[str, int], list[dict[str, float]]] = {}
    certain, num_cells = 0.0, 0
    for cell in track(lifetimes.cells(short=SHORT), "simulating lives"):
        found = lifetimes.wrong_promotions(cell, lives=LIVES, seed=SEED)
        bound = cell.exact if cell.exact is not None else lifetimes.share_upper(found["detent"], LIVES)
        certain, num_cells = max(certain, bound), num_cells + 1
        shares.setdefault((cell.structure, cell.looks), []).append(found)
    click.echo(
        f"  share of lives with a wrong promotion, worst setting{'':12s}"
        + "".join(f"{g:>13s}" for g in lifetimes.GATES)
    )
    for (structure, looks), found_here in sorted(shares.items()):
        worst_here = {gate: max(one[gate] for one in found_here) for gate in lifetimes.GATES}
        told = "".join(f"{share:13.2%}" for share in worst_here.values())
        click.echo(f"    {structure:10s} {looks:3d} candidates, {len(found_here):2d} settings {'':20s}{told}")
    worst = {gate: max(one[gate] for found in shares.values() for one in found) for gate in lifetimes.GATES}
    yield Figure(
        name=f"wrong promotions, worst of {num_cells} settings (99% Monte Carlo bound, or exact)",
        value=certain,
        goal="at most 5%",
        met=certain <= lifetimes.ALPHA,
        peer=f"point estimate {worst['point']:.1%}",
        ratio=worst["detent"] / worst["point"],
        seeds=[SEED],
        spread=f"{LIVES} lives a setting, observed {worst['detent']:.2%}",
    )
    for gate, label in (("uncorrected", "an uncorrected bound"), ("bonferroni", "naive Bonferroni, blind to groups")):
        yield Figure(name=f"the same for {label}", value=worst[gate], seeds=[SEED])


def measure_analysts() -> Iterator[Figure]:
    """Analysts who learn from the answers: open reporting without burning breaks, the seal keeps."""
    for name, share in lifetimes.adaptive_analysts(lives=LIVES, seed=SEED).items():
        sealed = name.endswith("sealed")
        yield Figure(
            name=f"analyst who {name}" if not name.startswith("best") else f"analyst with the {name}",
            value=share,
            goal="at most 5%" if sealed else "",
            met=lifetimes.share_upper(share, LIVES) <= 0.05 if sealed else None,
            seeds=[SEED],
            spread=f"99% bound {lifetimes.share_upper(share, LIVES):.2%}",
        )
    yield Figure(
        name="groups of 20 that flip together at 1%, taken as independent (exact)", value=lifetimes.ungrouped_error()
    )


def measure_power() -> Iterator[Figure]:
    """Exact power at half the limit, and what the spending rule has to do with it."""
    for line in power.table():
        click.echo(line)
    for look, goal in ((1, 0.92), (20, 0.80)):
        value = power.promoted(5000, 0.005, 10, power.at_look(look))
        peer = power.promoted(5000, 0.005, 10, power.bonferroni(10))
        yield Figure(
            name=f"power, n 5,000, rate 0.5%, limit 1%, ten slices at 5%, look {look}, nothing promoted before",
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
    for promotions in (1, 2, 3):
        value = power.promoted(5000, 0.005, 10, power.at_look(20, promotions))
        yield Figure(name=f"the same at look 20 after {promotions} earlier promotions", value=value)


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


if __name__ == "__main__":
    main()
