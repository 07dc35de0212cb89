from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.core.decisions import (
    Budget,
    Check,
    Counts,
    Decision,
    Grouping,
    Look,
    NoiseFloor,
    Paired,
    Severity,
    SliceCheck,
    write_decision,
)
from components.core.errors import DataError

LOOK = Look(number=1, candidate="a", champion="b", level=0.01, mode="sealed", promoted=None)
FULL = Decision(
    outcome="HOLD",
    candidate="new <b>",
    mode="sealed",
    certified=False,
    reasons=("because",),
    shown_split="search",
    counts=Counts(
        n=10, n_old_right=8, n_new_right=9, negative_flips=1, positive_flips=2, old_abstained=0, new_abstained=0
    ),
    checks=(Check(name="negative flips", split="search", result="undecided", limit=0.1, count=1, n=10, rate=0.1),),
    slices=(
        SliceCheck(
            column="s_c", value="u", n=3, n_old_right=2, negative_flips=1, positive_flips=0, rate=None, lower=None,
            upper=None, limit=0.1, result="too small",
        ),
    ),
    negative_ids=("i",),
    paired=Paired(difference=0.1, mcnemar_exact=0.5, mcnemar_mid_p=0.4, newcombe=(-0.1, 0.3), tango=(-0.1, 0.3)),
    noise_floor=NoiseFloor(rate=0.02, stated=True),
    severity=Severity(weighted_rate=0.1, heaviest=(("u>v", 1, 1.0),)),
    grouping=Grouping(column="s_g", num_groups=3, estimand="mean", upper_of_groups=0.2, upper_if_independent=0.1),
    budget=Budget(alpha=0.05, spent=0.01, left=0.04, planned_looks=21, num_certify=10, level=0.01, looks=(LOOK,)),
    further_samples=300,
    digests={"candidate": "a"},
)  # fmt: skip


def test_round_trip_of_every_field(tmp_path: Path) -> None:
    assert Decision.from_json(FULL.to_json()) == FULL
    write_decision(tmp_path / "decision.json", FULL)
    assert Decision.from_json((tmp_path / "decision.json").read_text(encoding="utf-8")) == FULL


def test_the_digest_follows_the_content() -> None:
    assert FULL.digest == Decision.from_json(FULL.to_json()).digest
    assert replace(FULL, outcome="PROMOTE").digest != FULL.digest


def test_rates_are_derived_from_counts() -> None:
    assert FULL.counts is not None
    assert (FULL.counts.rate_of_all, FULL.counts.rate_of_old_right) == (0.1, 0.125)
    assert replace(FULL.counts, n_old_right=0).rate_of_old_right is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"outcome": "MAYBE"}, "decision.outcome: got 'MAYBE'"),
        ({"surprise": 1}, "surprise"),
        ({"negative_ids": [1]}, "decision.negative_ids"),
        ({"further_samples": 1.5}, "decision.further_samples"),
        ({"counts": {"n": 1}}, "decision.counts"),
        ({"digests": {"a": 1}}, "decision.digests"),
    ],
)
def test_altered_json_is_refused_by_field(change: dict[str, object], words: str) -> None:
    text = json.dumps({**json.loads(FULL.to_json()), **change})
    with pytest.raises(DataError, match=words):
        Decision.from_json(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{"])
def test_other_text_is_no_decision(text: str) -> None:
    with pytest.raises(DataError):
        Decision.from_json(text)
