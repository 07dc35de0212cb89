"""`detent compare OLD NEW` for two verdict tables from any tool: read, decide, write the JSON and the report.

Two bare tables are an open look: everything is shown. Looks at the same samples are remembered, and share one
error budget, so that asking often does not help; what was shown and then learned from certifies nothing. With a
ledger of one's own the look is charged there and, if the policy is sealed, only one bit is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from components.core import verdicts
from components.core.decisions import Budget, Decision, Look, Outcome, write_decision
from components.core.digests import digest_file
from components.core.errors import ConfigError, DataError, SourceError
from components.selection.gate import (
    assembly,
    checks,
    flips,
    gate,
    notes,
    paired,
    power,
    reasons,
    slicing,
    streaming,
)
from components.selection.gate.claims import Levels
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.policy import Policy
from components.selection.gate.rates import counts_under
from components.selection.ledger.ledger import Answer, Ledger
from components.selection.ledger.members import SplitMembers
from components.selection.report import report

STREAM_ROWS = 1_000_000  # longer Parquet tables are counted as a stream, without a gallery
_NOT_REMEMBERED = (
    f"tables of over {STREAM_ROWS:,} rows are counted as a stream and not remembered: asked again of the same samples, "
    "this level is not divided among the looks"
)


_TEXTS = ("sample_id", "prediction", "label", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison made: the decision, and where its JSON and its report lie."""

    decision: Decision
    decision_path: Path
    report_path: Path


def compare(
    old: Path,
    new: Path,
    *,
    policy: Policy,
    out: Path,
    ledger: Ledger | None = None,
) -> Comparison:
    """Gate two verdict tables (Parquet or CSV) and write `decision.json` and `report.html` into `out`.

    Without a ledger, or with one that no open look burns, the look is open, whatever the policy says. Raises
    SourceError for files that cannot be read and what the gate's self-checks raise.
    """
    if ledger is None or not ledger.burns:
        policy = policy.model_copy(update={"mode": "open"})
    if _num_rows(old) > STREAM_ROWS and (ledger is None or not ledger.burns):
        decision, rows = _decide_stream(old, new, policy), None
    else:
        case = gate.bring(_evidence(old, new), policy, ledger=ledger)
        decision = gate.decide(case, policy, ledger=ledger)
        rows = assembly.rows_for(decision, case)
    made = Comparison(decision=decision, decision_path=out / "decision.json", report_path=out / "report.html")
    write_decision(made.decision_path, decision)
    report.write_report(made.report_path, decision, rows=rows)
    return made


def read_members(path: Path) -> SplitMembers:
    """The samples of a verdict table, by id."""
    table = read_table(path)
    if "sample_id" not in table.column_names:
        raise DataError(f"{path}: columns ['sample_id'] are missing, found {table.column_names}")
    return SplitMembers.of(table["sample_id"].cast(pa.string()).to_pylist())


def read_table(path: Path) -> pa.Table:
    """Read a verdict table of any tool: `sample_id` and `verdict` are needed, the rest is filled in.

    Ids and slices are read as text, so that `007` stays `007`; without `score` the histograms say nothing.
    """
    if not path.is_file():
        raise SourceError(f"{path} is no file; name a verdict table in Parquet or CSV")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is neither Parquet nor CSV with a header ({error}); export it again") from error
    fill = {
        "score": pa.array(np.zeros(table.num_rows), pa.float32()),
        "prediction": pa.nulls(table.num_rows, pa.string()),
    }
    for name, column in fill.items():
        if name not in table.column_names:
            table = table.append_column(name, column)
    return table


def _read_csv(path: Path) -> pa.Table:
    names = pa_csv.open_csv(path).schema.names
    texts = {name: pa.string() for name in names if name in _TEXTS or name.startswith(("s_", "group_"))}
    return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=texts))


def _num_rows(path: Path) -> int:
    if path.suffix.lower() == ".csv" or not path.is_file():
        return 0
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} is no Parquet file ({error}); name a verdict table in Parquet or CSV") from error


def _has_groups(*paths: Path) -> bool:
    names = {name for path in paths for name in pq.read_schema(path).names}
    return any(name in ("group", "s_group") or name.startswith("group_") for name in names)


def _evidence(old: Path, new: Path) -> Evidence:
    tables = read_table(old), read_table(new)
    digests = [verdicts.read_stamp(table).model for table in tables]
    named = [found or digest_file(path) for found, path in zip(digests, (old, new), strict=True)]
    tables_stamped = [
        verdicts.stamp(table, model=digest, dataset=verdicts.read_stamp(table).dataset or "unknown")
        for table, digest in zip(tables, named, strict=True)
    ]
    return Evidence(
        candidate=new.stem,
        candidate_digest=named[1],
        champion_digest=named[0],
        certify=Pair(old=tables_stamped[0], new=tables_stamped[1]),
    )


def _decide_stream(old: Path, new: Path, policy: Policy) -> Decision:
    grouped = policy.groups not in ("auto", "none") or (policy.groups == "auto" and _has_groups(old, new))
    if grouped or policy.severity.limit is not None or policy.anchor_limit is not None:
        raise ConfigError(
            f"tables of over {STREAM_ROWS:,} rows are counted as a stream, which knows no groups, severity limit or "
            "anchor; take these out of the policy (selection.policy.groups: none says that samples are independent) "
            "or compare a sample"
        )
    streamed = streaming.tally_files(old, new, policy.slices.columns, policy.slices.pairs)
    alpha = policy.spending.alpha
    findings = checks.examine(streamed.tally, policy, Levels(split="certify", hold=alpha, broken=alpha))
    promoted = findings.passed(policy)
    outcome: Outcome = "PROMOTE" if promoted else "REJECT" if findings.broken() else "HOLD"
    digests = {"candidate": digest_file(new), "champion": digest_file(old), "policy": gate.policy_digest(policy)}
    look = Look(
        number=1,
        candidate=digests["candidate"],
        champion=digests["champion"],
        level=alpha,
        mode="open",
        promoted=promoted,
    )
    counts = counts_under(streamed.tally.total, policy)
    size = (
        power.split_size(checks.sample_of(streamed.tally, policy, None), findings, policy, alpha)
        if outcome == "HOLD"
        else None
    )
    further = max(0, size - counts.n) if size is not None else None
    scope = slicing.scope_of(streamed.tally.columns, policy)
    told = reasons.Told(scope=scope, further=further, chance=policy.min_power)
    gained, lost, both = flips.discordant(streamed.tally.total)
    return Decision(
        outcome=outcome,
        candidate=new.stem,
        mode="open",
        certified=promoted,
        reasons=reasons.tell(outcome, Answer(look=look, recorded=False), findings, policy, told),
        shown_split="certify",
        counts=counts,
        checks=findings.checks,
        slices=findings.slices,
        negative_ids=streamed.negative_ids,
        positive_ids=streamed.positive_ids,
        paired=paired.report(gained, lost, both, counts.n),
        budget=Budget(
            alpha=alpha, spent=alpha, left=0.0, planned_looks=1, num_certify=counts.n, level=alpha, looks=(look,)
        ),
        noise_floor=notes.stated_floor(policy),
        further_samples=further,
        scope=scope,
        promise=reasons.promise(policy) if promoted else "",
        digests=digests,
        notes=(notes.second_look(policy), _NOT_REMEMBERED),
    )
