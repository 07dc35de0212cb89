from __future__ import annotations

from collections.abc import Callable

import pytest

from components.core.errors import DataError
from components.selection.gate import flips, severities
from components.selection.gate.evidence import Pair
from components.selection.gate.policy import Policy
from tests.components.selection.gate.test_rates import rows_of

WEIGHTS = {"weights": {"stop": 50.0}, "limit": 1.0}


def test_weights_need_predictions_to_weigh_by() -> None:
    rows = rows_of([1] * 100, [0] + [1] * 99)
    with pytest.raises(DataError, match=r"100 of 100 answers of the old model have no 'prediction'.*leave out the"):
        severities.check(rows, Policy(severity=WEIGHTS), hold=0.05, broken=0.05, split="search")
    with pytest.raises(DataError, match="have no 'prediction'"):
        severities.report(rows, Policy(severity=WEIGHTS))
    assert severities.report(rows, Policy()).weighted_rate == pytest.approx(0.01)


def test_an_abstention_needs_no_prediction(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(100, 5)
    rows = flips.join(pair.old, pair.new, name="certify")
    severities.need_predictions(rows, Policy(severity=WEIGHTS), name="certify")
    given_up = pair.new.set_column(
        pair.new.schema.get_field_index("prediction"), "prediction", [[None] * 99 + ["y"]]
    ).set_column(pair.new.schema.get_field_index("verdict"), "verdict", [[-1] * 99 + [1]])
    abstained = flips.join(pair.old, given_up.cast(pair.new.schema), name="certify")
    severities.need_predictions(abstained, Policy(severity=WEIGHTS), name="certify")
