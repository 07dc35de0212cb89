"""Classes of two releases meet by name: what stays keeps its place, what came or went is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError
from components.models.classes import match_classes

names = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(names, names)
def test_positions_lead_there_and_back(old: list[str], new: list[str]) -> None:
    if not set(old) & set(new):
        with pytest.raises(DataError, match="share no class"):
            match_classes(old, new)
        return
    match = match_classes(old, new)
    assert match.same == (old == new)
    assert set(match.added) == set(new) - set(old) and set(match.retired) == set(old) - set(new)
    for place, position in enumerate(match.old_of_new):
        assert (position == -1 and new[place] in match.added) or old[position] == new[place]
    for position, place in enumerate(match.new_of_old):
        assert (place == -1 and old[position] in match.retired) or new[place] == old[position]


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"new model names classes \['a'\] twice"):
        match_classes(["a"], ["a", "a"])


def test_one_class_meets_itself() -> None:
    assert match_classes(["a"], ["a"]).same
