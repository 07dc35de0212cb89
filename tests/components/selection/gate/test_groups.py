"""Photos that belong together are counted by group without being asked; what no one column can group is refused."""

from __future__ import annotations

import pytest

from components.core.errors import DataError
from components.selection.gate.evidence import Pair
from components.selection.gate.gate import decide, flips
from components.selection.gate.groups import num_groups, with_groups
from components.selection.gate.policy import Policy


def pair_with(make_table, n: int, **columns: list[str | None]) -> Pair:
    tables = [make_table([1] * n, model=model, slices=columns) for model in ("0" * 64, "a" * 64)]
    return Pair(old=tables[0], new=tables[1])


def grouped(pair: Pair, **policy: object) -> flips.Rows:
    rows = flips.join(pair.old, pair.new, name="t")
    return with_groups(rows, Policy(**policy), name="t")


@pytest.mark.parametrize("column", ["group", "s_group"])
def test_groups_are_used_as_soon_as_one_holds_two(make_table, column: str) -> None:
    assert num_groups(grouped(pair_with(make_table, 10, **{column: [str(i // 2) for i in range(10)]}))) == 5
    assert grouped(pair_with(make_table, 10, **{column: [str(i) for i in range(10)]})).groups is None
    assert grouped(pair_with(make_table, 10, **{column: ["a"] * 10}), groups="none").groups is None


def test_null_in_an_older_params_yaml_means_auto() -> None:
    assert Policy(groups=None).groups == "auto"


def test_a_sample_without_a_group_is_a_group_of_its_own(make_table) -> None:
    found = grouped(pair_with(make_table, 5, group=["a", "a", None, None, "b"]))
    assert num_groups(found) == 4


def test_a_column_that_is_not_there_is_named(make_table) -> None:
    with pytest.raises(DataError, match="'s_visit' is not in the verdict tables"):
        grouped(pair_with(make_table, 5), groups="s_visit")


def test_the_group_is_no_slice(make_table, make_evidence, ledger) -> None:
    pair = pair_with(make_table, 400, s_group=[str(i // 2) for i in range(400)], s_light=["a", "b"] * 200)
    decision = decide(make_evidence(pair), Policy(), ledger=ledger)
    assert {one.column for one in decision.scope} == {"s_light"}


def test_every_decision_says_how_photos_and_groups_stand(make_table, make_evidence, ledger) -> None:
    pair = pair_with(make_table, 400, group=[str(i // 4) for i in range(400)])
    decision = decide(make_evidence(pair), Policy(), ledger=ledger)
    assert "certify: 400 photos in 100 groups, tested by group" in decision.notes
    alone = decide(make_evidence(pair_with(make_table, 400)), Policy(), ledger=ledger)
    assert any("400 photos in 400 groups: no two are known to belong together" in note for note in alone.notes)


def test_groups_that_flip_together_are_not_promoted_without_being_asked(make_table, make_evidence, ledger) -> None:
    """20 groups of 20 with no flip: 400 samples would prove 2%, 20 groups do not."""
    columns = {"group": [str(i // 20) for i in range(400)]}
    decision = decide(make_evidence(pair_with(make_table, 400, **columns)), Policy(limit=0.02), ledger=ledger)
    assert decision.certified is False


def test_pairs_of_people_need_cells(make_table) -> None:
    people = {"group_left": ["ann", "bob", "ann", "cid"], "group_right": ["bob", "ann", "bob", "dee"]}
    with pytest.raises(DataError, match="which no one group covers; deal the identities into disjoint cells"):
        grouped(pair_with(make_table, 4, **people))
    cells = {"group": ["1", "1", "1", "2"]}
    assert num_groups(grouped(pair_with(make_table, 4, **people, **cells))) == 2
    crossing = {"group": ["1", "1", "2", "2"]}
    with pytest.raises(DataError, match="stands in the cells '1' and '2'"):
        grouped(pair_with(make_table, 4, **people, **crossing))


def test_one_shared_column_is_asked_to_be_the_group(make_table) -> None:
    with pytest.raises(DataError, match="call the column 'group_shop' group"):
        grouped(pair_with(make_table, 4, group_shop=["a", "a", "b", "b"]))


def test_groups_that_differ_between_the_models_are_refused(make_table) -> None:
    tables = [
        make_table([1, 1], model=m, slices={"group": g}) for m, g in (("0" * 64, ["a", "b"]), ("a" * 64, ["a", "a"]))
    ]
    with pytest.raises(DataError, match="must not depend on the model"):
        grouped(Pair(old=tables[0], new=tables[1]))
