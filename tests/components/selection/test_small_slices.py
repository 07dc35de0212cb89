"""A lost class is not let through because it is small, under the policy that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.errors import ConfigError, DataError
from components.core.params import parse_section, read_params
from components.selection.gate.claims import Levels
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.gate import decide
from components.selection.gate.policy import Policy
from components.selection.gate.slicing import num_testable
from components.selection.report import report

SHIPPED = parse_section(
    Policy, read_params(Path(__file__).parents[3] / "params.yaml")["selection"]["policy"], where="params.yaml"
)
NUM_CERTIFY, NUM_SEARCH = 1346, 673


def sized(sizes: dict[str, int], total: int, fill: int) -> list[str]:
    """Class names of `total` samples: the classes given, the rest dealt evenly over `fill` large ones."""
    named = [name for name, size in sizes.items() for _ in range(size)]
    return named + [f"large {index % fill}" for index in range(total - len(named))]


def split(classes: list[str], make_table, *, lost: set[str], prefix: str) -> Pair:
    """Everything right but a twentieth, spread evenly; the lost classes break whole."""
    rng = np.random.default_rng(0)
    old: NDArray[np.int64] = np.where(rng.random(len(classes)) < 0.05, 0, 1)
    gone = np.isin(classes, list(lost))
    old[gone] = 1
    new = np.where(gone, 0, old)
    repaired = np.flatnonzero(old == 0)[: int(gone.sum())]
    new[repaired] = 1  # so that accuracy alone sees nothing
    slices = {"s_class": classes}
    old_table = make_table(old.tolist(), prefix=prefix, model="0" * 64, slices=slices)
    return Pair(old=old_table, new=make_table(new.tolist(), prefix=prefix, slices=slices))


def lose(make_evidence, make_table, sizes: dict[str, int], lost: set[str], *, fill: int = 19) -> Evidence:
    half = {name: max(1, size // 2) for name, size in sizes.items()}
    certify = split(sized(sizes, NUM_CERTIFY, fill), make_table, lost=lost, prefix="s")
    return make_evidence(certify, split(sized(half, NUM_SEARCH, fill), make_table, lost=lost, prefix="t"))


@pytest.mark.parametrize("size", [20, 30, 40, 45])
def test_a_class_too_small_to_test_that_is_lost_whole_holds_the_release(
    make_evidence, make_table, ledger, size: int
) -> None:
    decision = decide(lose(make_evidence, make_table, {"rare": size}, {"rare"}), SHIPPED, ledger=ledger)
    assert (decision.outcome, decision.certified) == ("HOLD", None)
    assert any("s_class = rare" in reason and "proven over its limit" in reason for reason in decision.reasons)
    assert ledger.looks() == (), "what search proves costs no look"
    page = report.render(decision)
    rows = page[page.index('id="slices"') :]
    assert rows.index("class = rare") < rows.index("class = large"), "the strongest evidence of harm stands first"
    assert "broken, though small" in rows
    assert "large enough to test alone" in page and "under their limit" not in page, "certify was not asked"


@pytest.mark.parametrize("lost", [{"class 3"}, {"class 3", "class 40"}, {"class 3", "class 40", "class 79"}])
def test_of_81_classes_none_is_lost_unseen(make_evidence, make_table, ledger, lost: set[str]) -> None:
    sizes = {f"class {index}": 16 for index in range(81)}
    decision = decide(lose(make_evidence, make_table, sizes, lost, fill=1), SHIPPED, ledger=ledger)
    assert decision.outcome == "HOLD"


def test_what_only_certify_shows_is_part_of_the_one_bit(make_evidence, make_table, ledger) -> None:
    """Search has too few of the class to prove anything; certify has enough, and says no and nothing else."""
    certify = split(sized({"rare": 30}, NUM_CERTIFY, 19), make_table, lost={"rare"}, prefix="s")
    search = split(sized({"rare": 1}, NUM_SEARCH, 19), make_table, lost={"rare"}, prefix="t")
    decision = decide(make_evidence(certify, search), SHIPPED, ledger=ledger)
    assert (decision.outcome, decision.certified) == ("HOLD", False)
    assert not any("rare" in reason for reason in decision.reasons)
    assert [row.n for row in decision.slices if row.value == "rare"] == [1]


def test_a_promotion_says_what_was_tested_and_what_could_be_lost(make_evidence, make_table, ledger) -> None:
    sizes = {"rare": 20, "rarer": 12, "rarest": 9}
    evidence = lose(make_evidence, make_table, sizes, set(), fill=17)
    decision = decide(evidence, SHIPPED, ledger=ledger)
    assert decision.outcome == "PROMOTE"
    (scope,) = decision.scope
    assert (scope.num_values, scope.num_alone, scope.num_small) == (20, 17, 3)
    reason = decision.reasons[0]
    assert "negative flips under 5% overall" in reason
    assert "class: 17 of 20 under 25% each; 3 too small to test alone" in reason
    assert f"fewer than {scope.lost_below} samples there could be lost whole" in reason
    assert "every limit is certified" not in reason
    assert decision.promise.startswith("If this split is a fair sample of your photos and its labels are right")
    assert decision.promise in report.render(decision)


def test_the_size_that_could_be_lost_is_the_size_that_is_lost(make_evidence, make_table, tmp_path) -> None:
    from components.selection.ledger.ledger import Ledger

    def outcome(size: int) -> str:
        certify = split(sized({"rare": size}, NUM_CERTIFY, 19), make_table, lost={"rare"}, prefix="s")
        search = split(sized({}, NUM_SEARCH, 19), make_table, lost=set(), prefix="t")
        book = Ledger(tmp_path / f"{size}.jsonl", tmp_path / f"{size}.json")
        return decide(make_evidence(certify, search), SHIPPED, ledger=book).outcome

    told = decide(
        lose(make_evidence, make_table, {"rare": 20}, set()),
        SHIPPED,
        ledger=Ledger(tmp_path / "told.jsonl", tmp_path / "told.json"),
    )
    lost_below = told.scope[0].lost_below
    assert outcome(lost_below) == "HOLD"
    assert outcome(lost_below - 1) == "PROMOTE"


def with_slices(**slices: object) -> Policy:
    return Policy.model_validate(SHIPPED.model_dump() | {"slices": SHIPPED.slices.model_dump() | slices})


def test_a_critical_slice_too_small_to_prove_holds_and_says_how_many_would_do(
    make_evidence, make_table, ledger
) -> None:
    policy = with_slices(critical={"s_class": ["insulin"]})
    decision = decide(lose(make_evidence, make_table, {"insulin": 6}, set()), policy, ledger=ledger)
    assert (decision.outcome, decision.certified, ledger.looks()) == ("HOLD", None, ())
    (missing,) = decision.missing
    assert (missing.value, missing.n) == ("insulin", 6)
    assert 0.75 ** (missing.needed - 1) > ledger.standing(["x"], policy.spending).next_level >= 0.75**missing.needed
    assert any(f"{missing.needed:,} would do" in reason for reason in decision.reasons)
    enough = decide(lose(make_evidence, make_table, {"insulin": missing.needed + 5}, set()), policy, ledger=ledger)
    assert enough.outcome == "PROMOTE"
    tested = next(row for row in enough.slices if row.value == "insulin")
    assert tested.critical and tested.alone


def test_a_critical_value_that_certify_lacks_holds(make_evidence, make_table, ledger) -> None:
    policy = with_slices(critical={"s_class": ["epipen"]})
    decision = decide(lose(make_evidence, make_table, {}, set()), policy, ledger=ledger)
    assert decision.outcome == "HOLD"
    assert "epipen is critical and certify holds 0 samples" in " ".join(decision.reasons)


def test_a_critical_column_that_is_not_there_is_named(make_evidence, make_table, ledger) -> None:
    policy = with_slices(critical={"s_ward": ["icu"]})
    with pytest.raises(DataError, match="s_ward"):
        decide(lose(make_evidence, make_table, {}, set()), policy, ledger=ledger)
    with pytest.raises(ConfigError, match="no slice columns"):
        parse_section(Policy, {"slices": {"critical": {"ward": ["icu"]}}}, where="policy")


def test_values_of_one_column_may_have_limits_a_hundred_times_apart(make_evidence, make_table, ledger) -> None:
    kinds = ["impostor"] * 4000 + ["genuine"] * 1000
    strict = {"s_trial": {"impostor": 0.002, "genuine": 0.2}}
    policy = Policy(limit=0.05, slices={"limit": 0.1, "limits": strict}, improvement={"rule": "none"})
    for flips, name, expected in ((20, "impostor", "REJECT"), (20, "genuine", "PROMOTE")):
        pairs = []
        for prefix in "st":
            new = [1] * 5000
            start = kinds.index(name)
            new[start : start + flips] = [0] * flips
            tables = [
                make_table(v, prefix=prefix, model=m, slices={"s_trial": kinds})
                for v, m in (([1] * 5000, "0" * 64), (new, "a" * 64))
            ]
            pairs.append(Pair(old=tables[0], new=tables[1]))
        assert decide(make_evidence(*pairs), policy, ledger=ledger).outcome == expected
        limits = {row.value: row.limit for row in decide(make_evidence(*pairs), policy, ledger=ledger).slices}
        assert limits == {"impostor": 0.002, "genuine": 0.2}


def test_tarones_divisor_counts_only_what_could_be_proven() -> None:
    levels = Levels(split="search", hold=0.05, broken=0.05)
    assert num_testable([0.5] * 100, levels) == 1
    assert num_testable([1e-9] * 10 + [0.5] * 90, levels) == 10
    assert num_testable([], levels) == 1
