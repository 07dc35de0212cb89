"""The lot of pastes shows each class as often as it was ordered."""

import pytest

from components.synthesis.pastes.lot import _places


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_counts_hold_class_by_class(labels):
    names = [f"c{number}" for number in range(labels)]
    counts = {name: 3 + 2 * number for number, name in enumerate(names)}
    places = _places(names, counts)
    assert sorted(set(places)) == list(places)
    assert {name: sum(place % labels == number for place in places) for number, name in enumerate(names)} == counts
