"""Runs checks as Great Expectations suites over pandas frames, one suite a frame, and reads the results back.

The import takes seconds and is therefore done here, when validation really runs; its telemetry, progress bars
and warnings stay off.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from components.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["blocking", "warning"]
Status = Literal["passed", "failed", "not applicable"]
_NUM_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold of each row of a frame: an expectation's name and its arguments.

    `names` is the column that tells a person which rows broke it.
    """

    code: str
    severity: Severity
    sentence: str
    frame: str
    expectation: str
    arguments: dict[str, Any]
    names: str = "name"
    is_leak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How a check came out; a frame without rows makes it not applicable, which is no pass."""

    check: Check
    status: Status
    num_rows: int = 0
    num_broken: int = 0
    examples: list[str] = field(default_factory=list)


def run_checks(checks: Sequence[Check], frames: Mapping[str, pd.DataFrame]) -> list[CheckResult]:
    """Run the checks, in their order. Each frame has a plain 0..n-1 index."""
    found: dict[str, CheckResult] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = _open_context()
        for name, frame in frames.items():
            mine = [check for check in checks if check.frame == name]
            if len(frame) and mine:
                found |= _run_suite(context, name, mine, frame)
    return [found.get(check.code, CheckResult(check=check, status="not applicable")) for check in checks]


def _open_context() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _run_suite(context: Any, name: str, checks: Sequence[Check], frame: pd.DataFrame) -> dict[str, CheckResult]:
    import great_expectations as gx

    expectations = [
        getattr(gx.expectations, check.expectation)(**check.arguments, meta={"code": check.code}) for check in checks
    ]
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    whole = context.data_sources.add_pandas(name).add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    results = whole.get_batch({"dataframe": frame}).validate(suite, result_format="COMPLETE").results
    by_code = {result.expectation_config.meta["code"]: result for result in results}
    return {check.code: _read(check, by_code[check.code], frame) for check in checks}


def _read(check: Check, result: Any, frame: pd.DataFrame) -> CheckResult:
    if "unexpected_index_list" not in result.result and not result.success:
        raise DataError(f"check {check.code} could not run on {check.frame}: {result.exception_info}")
    broken = result.result.get("unexpected_index_list") or []
    return CheckResult(
        check=check,
        status="passed" if result.success else "failed",
        num_rows=len(frame),
        num_broken=len(broken),
        examples=[str(frame.at[index, check.names]) for index in broken[:_NUM_EXAMPLES]],
    )
