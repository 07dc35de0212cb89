from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components.selection.ledger.members import SplitMembers

IDS = st.sets(st.text(min_size=1, max_size=4), max_size=30)


@given(first=IDS, second=IDS)
def test_overlap_and_round_trip(first: set[str], second: set[str]) -> None:
    one, other = SplitMembers.of(sorted(first)), SplitMembers.of(second)
    assert one.num_shared(other) == len(first & second)
    assert SplitMembers.unpack(one.pack()).digest == one.digest
    assert (one.digest == other.digest) == (first == second)
    assert len(one) == len(first)
