from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError
from components.selection.gate import flips

ROWS = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1]), st.sampled_from(["a", "b", None])), min_size=1
)


def count(rows: list[tuple[int, int, str | None]]) -> flips.Tally:
    old, new = (np.array([row[place] for row in rows], np.int8) for place in (0, 1))
    column = pa.array([row[2] for row in rows], pa.string()).dictionary_encode()
    return flips.tally_batch(old, new, {"s_c": column})


def same(one: flips.Tally, other: flips.Tally) -> bool:
    cells = one.columns["s_c"], other.columns["s_c"]
    return (
        bool((one.total == other.total).all())
        and cells[0].values == cells[1].values
        and bool((cells[0].counts == cells[1].counts).all())
    )


@given(rows=ROWS, cut=st.integers(0, 100))
def test_merging_chunks_equals_one_pass(rows: list[tuple[int, int, str | None]], cut: int) -> None:
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    assert same(flips.merge([count(part) for part in parts]), flips.merge([count(rows)]))


@given(rows=ROWS)
def test_counts_equal_plain_counting(rows: list[tuple[int, int, str | None]]) -> None:
    tally = count(rows)
    for wrong in (True, False):
        counts = flips.counts_of(tally.total, abstained_is_wrong=wrong)
        bad = (0, -1) if wrong else (0,)
        assert counts.negative_flips == sum(old == 1 and new in bad for old, new, _ in rows)
        assert counts.positive_flips == sum(old != 1 and new == 1 for old, new, _ in rows)
        assert (counts.n, counts.n_old_right) == (len(rows), sum(old == 1 for old, _, _ in rows))
        assert counts.new_abstained == sum(new == -1 for _, new, _ in rows)
        assert counts.old_abstained == sum(old == -1 for old, _, _ in rows)
    gained, lost, both = flips.discordant(tally.total)
    assert gained - lost == sum((new == 1) - (old == 1) for old, new, _ in rows)
    assert both == sum(old == new == 1 for old, new, _ in rows)


def test_crossed_columns_keep_values_apart_and_lose_no_row() -> None:
    first = pa.array(["a", "a x b", None, "a", "a"]).dictionary_encode()
    second = pa.array(["b x c", "c", "c", None, "b x c"]).dictionary_encode()
    joint = flips.crossed(first, second)
    assert joint.to_pylist() == ["a x b xx c", "a xx b x c", None, None, "a x b xx c"]


def test_a_column_may_stand_in_one_table_only(make_table) -> None:
    rows = flips.join(make_table([1, 1]), make_table([1, 0], slices={"s_c": ["u", ""]}), name="t")
    assert rows.slices["s_c"].to_pylist() == ["u", None]


def test_an_unknown_slice_column_names_the_known_ones(make_table) -> None:
    rows = flips.join(make_table([1]), make_table([0], slices={"s_c": ["u"]}), name="t")
    with pytest.raises(DataError, match=r"'s_d' is not in the verdict tables, found \['s_c'\]"):
        flips.tally(rows, ["s_d"])


def test_a_column_named_like_a_pair_is_refused(make_table) -> None:
    with pytest.raises(DataError, match="rename it"):
        flips.join(make_table([1]), make_table([0], slices={"s_a x s_b": ["u"]}), name="t")
