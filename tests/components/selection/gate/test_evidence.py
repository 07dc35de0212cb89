"""What certify asks is known by a digest that verdicts do not move; samples leave every table at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from components.core import verdicts
from components.core.errors import DataError, LeakError
from components.selection.gate import flips
from components.selection.gate.evidence import content_digest, open_case, without
from components.selection.gate.policy import Policy

POLICY = Policy(limit=0.1)


def digest(pair) -> str:
    return content_digest(flips.join(pair.old, pair.new, name="t"))


def test_what_is_asked_does_not_depend_on_the_answers(make_pair) -> None:
    lights = {"s_light": ["day", "night"] * 50}
    asked = digest(make_pair(100, 0, slices=lights))
    assert digest(make_pair(100, 40, 9, slices=lights)) == asked
    assert digest(make_pair(100, 0, slices={"s_light": ["day"] * 100})) != asked
    assert digest(make_pair(100, 0, prefix="t", slices=lights)) != asked


def test_another_label_is_another_question(make_pair) -> None:
    def labelled(name: str):
        pair = make_pair(50, 0)
        column = pa.array([name] * 50)
        made = {side: getattr(pair, side).append_column(verdicts.LABEL, column) for side in ("old", "new")}
        return replace(pair, **made)

    assert digest(labelled("mug")) != digest(labelled("pan")) == digest(labelled("pan"))


def test_samples_leave_both_models_and_the_anchor(make_evidence, make_pair, make_table) -> None:
    evidence = make_evidence(make_pair(100, 3), anchor_digest="b" * 64, anchor_certify=make_table([1] * 100))
    out = np.arange(100) % 4 == 0
    left = without(evidence, out)
    kept = [f"s{index:05d}" for index in range(100) if index % 4]
    for table in (left.certify.old, left.certify.new, left.anchor_certify):
        assert table["sample_id"].to_pylist() == kept
    with pytest.raises(LeakError, match="none can certify"):
        without(evidence, np.ones(100, bool))


def test_a_case_holds_aligned_rows_of_each_split(make_evidence, make_pair) -> None:
    case = open_case(make_evidence(make_pair(100, 3), make_pair(80, 2, prefix="t")), POLICY)
    assert (len(case.certify), len(case.search or ()), case.is_bootstrap) == (100, 80, False)
    assert case.content == digest(make_pair(100, 0)), "by the question, not by its answers"
    assert case.replay is None and case.anchor_certify is None and case.reseeds == ()


def test_a_mark_on_certify_is_refused_and_one_on_search_takes_its_sample_out(make_evidence, make_pair) -> None:
    evidence = make_evidence(make_pair(100, 3), make_pair(80, 2, prefix="t"), wrong_labels=frozenset({"t00001"}))
    search = open_case(evidence, POLICY).search
    assert search is not None and len(search) == 79 and "t00001" not in search.ids.to_pylist()
    with pytest.raises(DataError, match=r"1 samples marked .* \(first 's00004'\)"):
        open_case(replace(evidence, wrong_labels=frozenset({"s00004"})), POLICY)


def test_a_sample_in_two_splits_is_a_leak(make_evidence, make_pair) -> None:
    with pytest.raises(LeakError, match=r"80 samples stand in the certify split and in the search split"):
        open_case(make_evidence(make_pair(100, 3), make_pair(80, 2)), POLICY)
