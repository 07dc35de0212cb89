"""Each target gets the most accurate model within its costs and its flips, or is told what stands in the way."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.selection.search.targets import Target, choose, choose_all, excess


@dataclass(frozen=True)
class Row:
    accuracy: float
    flips: float
    costs: dict[str, float] = field(default_factory=dict)


ROWS = [
    Row(0.90, 0.05, {"multiply_adds": 40, "parameters": 9, "latency_ms": 3.0}),
    Row(0.85, 0.01, {"multiply_adds": 30, "parameters": 8, "latency_ms": 9.0}),
    Row(0.80, 0.01, {"multiply_adds": 10, "parameters": 2, "latency_ms": 1.0}),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"flip_limit": 1.0}, 0),
        ({}, 1),
        ({"latency_ms": 2.0}, 2),
        ({"multiply_adds": 30}, 1),
        ({"multiply_adds": 29.9, "parameters": 2}, 2),
        ({"parameters": 1}, None),
    ],
)
def test_most_accurate_within_the_target(fields: dict[str, float], expected: int | None) -> None:
    assert choose(ROWS, Target(name="x", **fields)) == expected


def test_all_targets_at_once_and_why_one_has_none() -> None:
    targets = [
        Target(name="phone", latency_ms=2.0),
        Target(name="stamp", latency_ms=0.5),
        Target(name="strict", multiply_adds=40, flip_limit=0.001),
        Target(name="both", parameters=2, latency_ms=1.0, multiply_adds=9),
        Target(name="mixed", parameters=8, latency_ms=0.99999),
    ]
    chosen = choose_all(ROWS, targets)
    assert chosen["phone"] == 2
    assert "none costs at most 0.5 ms a picture; the least is 1" in str(chosen["stamp"])
    assert "none flips at most 0.10%; the fewest is 1.00%" in str(chosen["strict"])
    assert "multiply-adds" in str(chosen["both"]) and "latency" not in str(chosen["both"])


def test_ties_go_to_fewer_flips_then_to_the_cheaper() -> None:
    tied = [Row(0.9, 0.01, {"multiply_adds": 5}), Row(0.9, 0.005, {"multiply_adds": 7}), Row(0.9, 0.005)]
    assert choose(tied, Target(name="x")) == 2
    assert choose(tied[:2], Target(name="x")) == 1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 9), st.floats(0.1, 9)), max_size=8),
    st.floats(0.1, 9),
    st.floats(0, 1),
)
def test_no_limit_is_ever_broken(rows: list[tuple[float, float, float, float]], most: float, flips: float) -> None:
    made = [Row(a, f, {"multiply_adds": m, "latency_ms": s}) for a, f, m, s in rows]
    target = Target(name="x", multiply_adds=most, latency_ms=most, flip_limit=flips)
    index = choose(made, target)
    allowed = [row for row in made if max(row.costs.values()) <= most and row.flips <= flips]
    assert (index is None) == (not allowed)
    if index is not None:
        assert made[index] in allowed and made[index].accuracy == max(row.accuracy for row in allowed)


def test_an_unmeasured_cost_is_over_its_limit() -> None:
    assert excess({}, {"latency_ms": 5.0}) == {"latency_ms": float("inf")}
    assert excess({"latency_ms": 5.0}, {"latency_ms": 5.0}) == {}
    assert excess({"latency_ms": 6.0}, {"latency_ms": 5.0}) == pytest.approx({"latency_ms": 0.2})
    assert excess({"latency_ms": float("nan")}, {"latency_ms": 5.0})


def test_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="latency_ms"):
        parse_section(Target, {"name": "phone", "latency": 3}, where="selection.targets")
