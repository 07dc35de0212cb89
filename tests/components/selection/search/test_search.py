"""Search is deterministic, goes on after kill -9, evaluates nothing twice, keeps its limits and says what it lacks."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.core.errors import ConfigError, DataError, StateError
from components.selection.search import genotypes
from components.selection.search.frontier import Outcome, pareto_front
from components.selection.search.genotypes import Genotype, SearchSpace
from components.selection.search.search import SearchPlan, SearchProblem, SearchResult, search
from tests.benchmarks.flips.areas import hypervolume

SPACE = SearchSpace(genes={"width": (8, 16, 24, 32), "depth": (1, 2, 3), "kernel": ("3x3", "5x5"), "side": (24, 32)})
METHODS: tuple[Literal["evolution", "random", "accuracy"], ...] = ("evolution", "random", "accuracy")


def cost(genotype: Genotype) -> dict[str, float]:
    width, depth, side = (int(genotype[name]) for name in ("width", "depth", "side"))
    return {"multiply_adds": width**2 * depth * side**2 / 1000, "latency_ms": depth + width / 8}


def outcome(genotype: Genotype) -> Outcome:
    """Larger is more accurate; depth flips more, 5x5 flips less: a real frontier."""
    width, depth = int(genotype["width"]), int(genotype["depth"])
    better = genotype["kernel"] == "5x5"
    return Outcome(
        accuracy=0.5 + width / 100 + 0.03 * depth + 0.01 * better + (0.02 if genotype["side"] == 32 else 0.0),
        flips=0.02 * depth - 0.01 * better + 0.02 + width / 2000,
    )


def rows_of(table: Path) -> list[dict[str, Any]]:
    """What the table says of each genotype that was asked, those over a limit included."""
    return [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()[1:]]


class Counted:
    """Evaluates, and can be killed."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.genotypes: list[str] = []
        self._dies_after = dies_after

    def __call__(self, genotype: Genotype) -> Outcome:
        if self._dies_after is not None and len(self.genotypes) >= self._dies_after:
            raise KeyboardInterrupt
        self.genotypes.append(json.dumps(dict(genotype), sort_keys=True))
        return outcome(genotype)


def problem(evaluate: object = outcome, *, limits: Mapping[str, float] | None = None) -> SearchProblem:
    return SearchProblem(
        space=SPACE,
        cost=cost,
        evaluate=evaluate,  # type: ignore[arg-type]
        made_from="supernet and champion",
        limits=limits or {},
    )


def plan(method: Literal["evolution", "random", "accuracy"] = "evolution", **changes: int) -> SearchPlan:
    return SearchPlan(**{"num_evaluations": 20, "seed": 0, "population": 8, **changes}, method=method)


def trail(result: SearchResult) -> list[dict[str, object]]:
    return [dict(row.genotype) for row in result.evaluated]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_walks_the_same_way(tmp_path: Path, method: Literal["evolution", "random", "accuracy"]) -> None:
    first = search(problem(), plan(method), table=tmp_path / "a.jsonl")
    again = search(problem(), plan(method), table=tmp_path / "b.jsonl")
    other = search(problem(), plan(method, seed=1), table=tmp_path / "c.jsonl")
    assert trail(first) == trail(again) != trail(other)
    assert len({json.dumps(genotype) for genotype in trail(first)}) == 20, "each evaluation is of another sub-network"


@pytest.mark.parametrize("limits", [{}, {"latency_ms": 5.0}])
@pytest.mark.parametrize("method", METHODS)
def test_resumed_after_a_kill_evaluates_nothing_twice(
    tmp_path: Path, method: Literal["evolution", "random", "accuracy"], limits: dict[str, float]
) -> None:
    whole = search(problem(limits=limits), plan(method), table=tmp_path / "a.jsonl")
    killed = Counted(dies_after=11)
    with pytest.raises(KeyboardInterrupt):
        search(problem(killed, limits=limits), plan(method), table=tmp_path / "b.jsonl")
    resumed = Counted()
    result = search(problem(resumed, limits=limits), plan(method), table=tmp_path / "b.jsonl")
    assert trail(result) == trail(whole) and result.front == whole.front
    assert len(resumed.genotypes) == 9 and not set(resumed.genotypes) & set(killed.genotypes)


def nothing(_: Genotype) -> dict[str, float]:
    """What can be told of costs that are all measured."""
    return {}


def both_kernels(genotype: Genotype) -> list[Genotype]:
    """What one network answers under either kernel, as if that were a switch."""
    return [{**genotype, "kernel": kernel} for kernel in ("3x3", "5x5")]


@pytest.mark.parametrize("method", METHODS)
def test_variants_cost_no_evaluation(tmp_path: Path, method: Literal["evolution", "random", "accuracy"]) -> None:
    """12 networks are asked for, and each comes with all of its variants; a finished search asks for nothing again."""
    posed = replace(problem(), variants=both_kernels)
    found = search(posed, plan(method, num_evaluations=12), table=tmp_path / "rows.jsonl")
    networks = {json.dumps({**row, "kernel": ""}) for row in trail(found)}
    assert len(networks) == 12 and len(found.evaluated) == 24
    rows = [json.dumps(row) for row in trail(found)]
    assert sorted(rows) == sorted({json.dumps(variant) for row in trail(found) for variant in both_kernels(row)})
    untouched = Counted(dies_after=0)
    again = search(replace(posed, evaluate=untouched), plan(method, num_evaluations=12), table=tmp_path / "rows.jsonl")
    assert trail(again) == trail(found) and again.front == found.front
    whole = search(posed, plan(method, num_evaluations=99), table=tmp_path / "rows.jsonl")
    assert len(whole.evaluated) == SPACE.size, "and where all there is was asked for, the search ends"


def test_a_variant_costs_what_its_network_costs_however_often_that_is_measured(tmp_path: Path) -> None:
    """Latency varies from one measurement to the next; a kill between two variants must not part them by it."""
    measured = iter(range(10_000))

    def trembling(genotype: Genotype) -> dict[str, float]:
        return {**cost(genotype), "latency_ms": 10.0 + next(measured)}

    posed = replace(problem(limits={"latency_ms": 20.0}), cost=trembling, counted=nothing, variants=both_kernels)
    found = search(posed, plan("random", num_evaluations=5), table=tmp_path / "rows.jsonl")
    assert len(found.evaluated) == 10
    for row, variant in zip(found.evaluated[::2], found.evaluated[1::2], strict=True):
        assert row.costs == variant.costs


@pytest.mark.parametrize("then", [-0.5, 0.5])
@pytest.mark.parametrize("method", METHODS)
def test_a_network_stays_on_its_side_of_a_limit_across_a_kill(
    tmp_path: Path, method: Literal["evolution", "random", "accuracy"], then: float
) -> None:
    """The machine is faster or slower after the kill: what was measured before it holds for every variant."""
    asked: list[str] = []

    def posed(evaluate: object, drift: float) -> SearchProblem:
        def measured(genotype: Genotype) -> dict[str, float]:
            asked.append(json.dumps({**genotype, "kernel": ""}))
            return {"latency_ms": cost(genotype)["latency_ms"] + drift}

        limited = problem(evaluate, limits={"latency_ms": 4.5})
        return replace(limited, cost=measured, counted=nothing, variants=both_kernels)

    for seed in range(4):
        asked.clear()
        table = tmp_path / f"{seed}.jsonl"
        with pytest.raises(KeyboardInterrupt):
            search(posed(Counted(dies_after=13), -then), plan(method, seed=seed), table=table)
        before = {json.dumps({**row["genotype"], "kernel": ""}) for row in rows_of(table)}
        asked.clear()
        result = search(posed(outcome, then), plan(method, seed=seed), table=table)
        assert before and not before & set(asked), "nothing on disk is measured again"
        within, over = (
            {json.dumps({**row.genotype, "kernel": ""}) for row in rows}
            for rows in (result.evaluated, result.over_limit)
        )
        assert within and over and not within & over
        costs = [(json.dumps({**row["genotype"], "kernel": ""}), row["costs"]) for row in rows_of(table)]
        known = dict(costs)
        assert all(cost == known[network] for network, cost in costs)


def test_the_rows_of_a_network_cost_one_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    posed = replace(problem(), variants=both_kernels)
    found = search(posed, plan("random", num_evaluations=12), table=tmp_path / "rows.jsonl")
    assert len(found.evaluated) == 24 and len(synced) == 1 + 12


def test_kill_minus_nine_in_the_middle_of_a_row(tmp_path: Path) -> None:
    """A process of its own kills itself while it writes; what it had finished is not evaluated again."""
    table = tmp_path / "rows.jsonl"
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests_of_search import Counted, plan, problem, search\n"
        "class Dying(Counted):\n"
        "    def __call__(self, genotype):\n"
        "        if len(self.genotypes) == 7:\n"
        "            with Path(sys.argv[1]).open('a') as file: file.write('{\"genotype\": {')\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().__call__(genotype)\n"
        "search(problem(Dying()), plan(), table=Path(sys.argv[1]))\n"
    )
    (tmp_path / "tests_of_search.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    root = str(Path(__file__).resolve().parents[4])
    done = subprocess.run(
        [sys.executable, "-c", script, str(table)],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    resumed = Counted()
    result = search(problem(resumed), plan(), table=table)
    assert len(resumed.genotypes) == 13
    assert trail(result) == trail(search(problem(), plan(), table=tmp_path / "whole.jsonl"))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    most=st.floats(70, 9000),
    slowest=st.floats(2.0, 7.0),
    seed=st.integers(0, 99),
    method=st.sampled_from(METHODS),
)
def test_limits_are_always_honoured(
    tmp_path_factory: pytest.TempPathFactory,
    most: float,
    slowest: float,
    seed: int,
    method: Literal["evolution", "random", "accuracy"],
) -> None:
    limits = {"multiply_adds": most, "latency_ms": slowest}
    counted = Counted()
    table = tmp_path_factory.mktemp("search") / "rows.jsonl"
    result = search(problem(counted, limits=limits), plan(method, seed=seed, num_evaluations=12), table=table)
    for text in counted.genotypes:
        assert all(cost(json.loads(text))[name] <= limit for name, limit in limits.items())
    assert {json.dumps(genotype, sort_keys=True) for genotype in trail(result)} == set(counted.genotypes)
    every = [dict(zip(SPACE.genes, values, strict=True)) for values in itertools.product(*SPACE.genes.values())]
    num_within = sum(all(cost(g)[name] <= limit for name, limit in limits.items()) for g in every)
    assert len(result.evaluated) == min(12, num_within), "and yet all that there is within them is found"


WIDE = SearchSpace(genes={**dict.fromkeys("abcdef", (0, 1, 2)), "switch": tuple(range(21))})


def wide_cost(genotype: Genotype) -> dict[str, float]:
    """Of 729 members; the switch asks another network too, all but its first setting."""
    return {"parts": 1.0 + sum(int(genotype[gene]) for gene in "abcdef") + 20.0 * (genotype["switch"] != 0)}


def wide_variants(genotype: Genotype) -> list[Genotype]:
    settings = range(1, 21) if genotype["switch"] else (0,)
    return [{**genotype, "switch": setting} for setting in settings]


def wide_problem(most: float, **changes: object) -> SearchProblem:
    posed = SearchProblem(
        space=WIDE,
        cost=wide_cost,
        evaluate=lambda genotype: Outcome(accuracy=0.5 + wide_cost(genotype)["parts"] / 100, flips=0.1),
        made_from="wide",
        limits={"parts": most},
        variants=wide_variants,
        cheapest=dict.fromkeys(WIDE.genes, 0),
    )
    return replace(posed, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("most", "num_within"), [(1.0, 1), (2.0, 7), (3.0, 28), (4.0, 78)])
@pytest.mark.parametrize("method", METHODS)
def test_what_there_is_within_tight_limits_is_found_or_its_lack_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    method: Literal["evolution", "random", "accuracy"],
    most: float,
    num_within: int,
) -> None:
    """Of 1,458 networks 1 to 78 are within the limit, and of these each has one setting among 21."""
    for seed in range(2):
        found = search(
            wide_problem(most), plan(method, seed=seed, num_evaluations=30), table=tmp_path / f"{seed}.jsonl"
        )
        assert len(found.evaluated) == min(30, num_within)
        assert len(found.over_limit) <= 8 * (1 + len(found.evaluated)), "a population without a find, then a draw"
        told = f"30 networks were asked for and {num_within} found: there is no other within {{'parts': {most}}}"
        assert found.shortfall == ("" if num_within >= 30 else told)
        assert [record.message for record in caplog.records] == [told] * (num_within < 30)
        caplog.clear()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_measured_is_asked_only_of_what_may_be_within(
    tmp_path: Path, method: Literal["evolution", "random", "accuracy"]
) -> None:
    """None is drawn over a limit on what is counted; a limit on what is measured is told to have ended the search."""
    measured: list[Genotype] = []

    def dear(genotype: Genotype) -> dict[str, float]:
        measured.append(genotype)
        return {**wide_cost(genotype), "latency_ms": wide_cost(genotype)["parts"]}

    counting = wide_problem(3.0, cost=dear, counted=wide_cost)
    found = search(counting, plan(method, num_evaluations=30), table=tmp_path / "counted.jsonl")
    assert len(found.evaluated) == 28
    assert method != "random" or len(measured) == 28
    measured.clear()
    blind = wide_problem(3.0, cost=dear, counted=nothing, limits={"latency_ms": 1.0})
    found = search(blind, plan(method, num_evaluations=3), table=tmp_path / "measured.jsonl")
    assert len(found.evaluated) == 1 < len(measured) <= 3 * (50 + 8)
    networks = {json.dumps({**row.genotype, "switch": row.genotype["switch"] != 0}) for row in found.over_limit}
    assert method != "random" or len(networks) == len(found.over_limit), "and no network is drawn twice"
    assert "3 networks were asked for and 1 found: no other within" in found.shortfall
    assert "came up in 174 proposals; raise the limits" in found.shortfall


def test_of_a_space_too_large_to_walk_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotypes, "_MAX_DRAWS", WIDE.size - 1)
    found = search(wide_problem(2.0), plan("random"), table=tmp_path / "rows.jsonl")
    assert 1 <= len(found.evaluated) <= 7 and "no other within {'parts': 2.0} came up" in found.shortfall


@pytest.mark.parametrize("method", METHODS)
def test_where_the_cheapest_is_over_the_limits_nothing_else_is_asked(
    tmp_path: Path, method: Literal["evolution", "random", "accuracy"]
) -> None:
    """What was measured of it before a kill holds after it."""
    table, counted = tmp_path / "rows.jsonl", Counted()
    dear = wide_problem(0.5, evaluate=counted, counted=nothing)
    cheap = replace(dear, cost=lambda _: {"parts": 0.1})
    for posed in (dear, cheap):
        with pytest.raises(ConfigError, match=r"cheapest member is over the limits \(parts 1 against 0\.5\)"):
            search(posed, plan(method), table=table)
    assert not counted.genotypes and len(rows_of(table)) == 1
    within = search(wide_problem(99.0), plan(method), table=tmp_path / "within.jsonl")
    assert set(trail(within)[0].values()) == {0}, "else it comes first"


def test_evolution_covers_more_than_its_peers_on_average(tmp_path: Path) -> None:
    """Of 4,096 genotypes 60 are evaluated; each gene that gains accuracy costs flips, and one does both harm."""
    reference = Outcome(accuracy=0.2, flips=0.5)

    def hard(genotype: Genotype) -> Outcome:
        a, b, c, d, e, f = (int(value) for value in genotype.values())
        return Outcome(
            accuracy=0.9 - 0.04 * (a + b + c) - 0.05 * (d + e), flips=0.02 * (9 - a - b - c) + 0.05 * (e + f)
        )

    def covered(method: Literal["evolution", "random", "accuracy"]) -> float:
        total = 0.0
        for seed in range(4):
            space = SearchSpace(genes=dict.fromkeys("abcdef", (0, 1, 2, 3)))
            posed = SearchProblem(space=space, cost=lambda _: {}, evaluate=hard, made_from="hard")
            found = search(
                posed, plan(method, seed=seed, num_evaluations=60, population=12), table=tmp_path / f"{method}-{seed}"
            )
            rows = [found.evaluated[index] for index in found.front]
            outcomes = [Outcome(accuracy=row.accuracy, flips=row.flips) for row in rows]
            total += hypervolume(outcomes, reference=reference)
        return total

    evolved = covered("evolution")
    assert evolved > covered("random") and evolved > covered("accuracy")


@pytest.mark.parametrize("seed", range(3))
def test_evolution_comes_within_a_measured_limit_by_how_far_over_it_others_are(tmp_path: Path, seed: int) -> None:
    """Of 16 million genotypes one in 1,300 is within the limit; what is over it has no outcome to learn from."""
    space = SearchSpace(genes=dict.fromkeys("abcdefgh", tuple(range(8))))
    posed = SearchProblem(
        space=space,
        cost=lambda genotype: {"latency_ms": float(sum(int(value) for value in genotype.values()))},
        evaluate=lambda _: Outcome(accuracy=0.5, flips=0.1),
        made_from="narrow",
        limits={"latency_ms": 8.0},
        counted=nothing,
    )
    found = search(posed, plan(seed=seed, num_evaluations=4), table=tmp_path / "rows.jsonl")
    assert len(found.evaluated) == 4


def test_the_frontier_is_that_of_what_was_evaluated(tmp_path: Path) -> None:
    result = search(problem(), plan(), table=tmp_path / "rows.jsonl")
    outcomes = [Outcome(accuracy=row.accuracy, flips=row.flips) for row in result.evaluated]
    assert list(result.front) == pareto_front(outcomes) and len(result.front) > 1
    assert all(row.outcome == outcome(row.genotype) for row in result.evaluated)
    assert len(rows_of(tmp_path / "rows.jsonl")) == 20


def test_start_is_evaluated_first_and_methods_share_a_table(tmp_path: Path) -> None:
    start = (
        {"width": 32, "depth": 3, "kernel": "5x5", "side": 32},
        {"width": 8, "depth": 1, "kernel": "3x3", "side": 24},
    )
    for method in METHODS:
        chosen = SearchPlan(num_evaluations=48, seed=0, method=method, population=8, start=start)
        counted = Counted()
        result = search(problem(counted), chosen, table=tmp_path / "rows.jsonl")
        assert trail(result)[:2] == [dict(genotype) for genotype in start]
        assert len(result.evaluated) == SPACE.size
        assert len(counted.genotypes) == (SPACE.size if method == METHODS[0] else 0)


def test_looser_limits_go_on_with_what_tighter_ones_left_out(tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    tight_one, loose_one = (replace(problem(limits={"latency_ms": most}), counted=nothing) for most in (3.0, 99.0))
    tight = search(tight_one, plan("random", num_evaluations=48), table=table)
    assert len(tight.over_limit) == SPACE.size - len(tight.evaluated) > 0
    loose = search(loose_one, plan("random", num_evaluations=48), table=table)
    assert len(loose.evaluated) == SPACE.size and not loose.over_limit
    again = search(tight_one, plan("random", num_evaluations=48), table=table)
    assert trail(again) == trail(tight)


def test_nothing_within_the_limits_names_the_least(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"latency_ms': 2\.0.*raise the limits"):
        search(problem(limits={"latency_ms": 1.0}), plan(), table=tmp_path / "rows.jsonl")


def test_a_table_of_another_search_is_refused(tmp_path: Path) -> None:
    search(problem(), plan(), table=tmp_path / "rows.jsonl")
    other = SearchProblem(space=SPACE, cost=cost, evaluate=outcome, made_from="another champion")
    with pytest.raises(StateError, match="another search"):
        search(other, plan(), table=tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("evaluate", "told"),
    [
        (lambda _: Outcome(accuracy=float("nan"), flips=0.1), "NaN"),
        (lambda _: Outcome(accuracy=0.5, flips=1.1), "rates"),
    ],
)
def test_an_outcome_that_is_no_pair_of_rates_is_refused(tmp_path: Path, evaluate: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        search(problem(evaluate), plan(), table=tmp_path / "rows.jsonl")


def test_a_limit_on_what_nobody_measures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="energy"):
        search(problem(limits={"energy": 1.0}), plan(), table=tmp_path / "rows.jsonl")


def test_plans_and_spaces_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one choice"):
        SearchSpace(genes={"width": ()})
    with pytest.raises(ConfigError, match="no choice twice"):
        SearchSpace(genes={"width": (8, 8)})
    with pytest.raises(ConfigError, match="population of 2"):
        plan(population=1)
    bad = SearchPlan(num_evaluations=2, seed=0, start=({"width": 9},))
    with pytest.raises(ConfigError, match="not of the space"):
        search(problem(), bad, table=tmp_path / "rows.jsonl")
