"""What `detent compare` does: gates two verdict tables, or two registered versions of this workspace's model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from components.core.decisions import Decision
from components.core.errors import ConfigError, SourceError, StateError
from components.core.workspace import Workspace
from components.selection.gate import words
from components.selection.gate.policy import Policy
from flows.answers import GATE_SAID_NO, Answer, Table
from flows.budget import budget_of, tell_price
from flows.office import Office

LEDGERS = "compared.ledgers.jsonl"  # whose samples are charged to which file given with --ledger
COMPARED, COMPARED_ANCHOR = "compared.jsonl", "compared.anchor.json"  # looks at tables of other tools, in the home


def compare_models(
    old: str,
    new: str,
    *,
    ledger: str | None = None,
    out: str | None = None,
    confirm: Callable[[str], bool] | None = None,
) -> Answer:
    """Decide whether NEW may replace OLD; exit code 3 unless it may.

    Paths to verdict tables make one open look, which the home remembers by its samples, or a charged one with
    `ledger`. Numbers are versions of the registered model: they are evaluated here and the look is charged to the
    workspace's own ledger, after `confirm` was told the price and said yes (None: nobody is asked).
    """
    office = Office.open()
    workspace = office.workspace
    folder = Path(out) if out is not None else workspace.reports / "compare"
    if old.isdigit() and new.isdigit():
        return _compare_versions(old, new, office, folder, confirm=confirm)
    from components.selection.comparison import compare
    from components.selection.ledger.ledger import Ledger

    if ledger is not None:
        _check_ledger(workspace, Path(ledger), _table(new))
        looks = Ledger(Path(ledger), Path(ledger).with_suffix(".anchor.json"))
    else:
        looks = Ledger(workspace.home / COMPARED, workspace.home / COMPARED_ANCHOR, burns=False)
    made = compare(_table(old), _table(new), policy=_policy(office), out=folder, ledger=looks)
    return _answer(made.decision, made.report_path, made.decision_path)


def _compare_versions(
    old: str, new: str, office: Office, folder: Path, *, confirm: Callable[[str], bool] | None
) -> Answer:
    from components.tracking.registry import fetch_version
    from components.workloads.rails.selection import gate_pair

    workspace, params = office.workspace, office.params
    models = [workspace.cache / "versions" / version for version in (old, new)]
    for version, model in zip((old, new), models, strict=True):
        fetch_version(office.tracker, office.model_name, version, out=model)
    if confirm is not None and old != new and not confirm(tell_price(budget_of(workspace, params))):
        raise ConfigError("no look was spent; say --yes to spend it without being asked")
    decision = gate_pair(office.given, old=models[0], new=models[1], out=folder)
    return _answer(decision, folder / "report.html", folder / "decision.json")


def _check_ledger(workspace: Workspace, ledger: Path, table: Path) -> None:
    """StateError where the home knows these samples from a ledger of another name: that would be a fresh budget."""
    from components.selection.comparison import read_members
    from components.selection.ledger import lines
    from components.selection.ledger.members import SplitMembers

    members, name = read_members(table), str(ledger.resolve())
    known = lines.read(workspace.home / LEDGERS)
    shared = [row for row in known if row["ledger"] != name and members.num_shared(SplitMembers.unpack(row["members"]))]
    if shared:
        raise StateError(
            f"looks at these samples are charged to {shared[0]['ledger']}; a ledger of another name would be a fresh "
            "budget: name that one with --ledger"
        )
    if not any(row["ledger"] == name and row["ids"] == members.digest for row in known):
        row = {"ledger": name, "ids": members.digest, "members": members.pack()}
        lines.append(workspace.home / LEDGERS, row)


def _table(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise SourceError(f"{name} is neither a file nor a version's number; name two tables or two versions")
    return path


def _policy(office: Office) -> Policy:
    return office.params.selection.policy if office.workspace.params.is_file() else Policy()


def _answer(decision: Decision, report: Path, record: Path) -> Answer:
    rows = [
        (check.name, check.split, check.result, _bound(check.upper), _bound(check.limit), check.reason)
        for check in decision.checks
    ]
    told = [*decision.reasons, *([words.change(decision.change)] if decision.change else []), *_budget(decision)]
    return Answer(
        value={
            "outcome": decision.outcome,
            "reasons": decision.reasons,
            "promise": decision.promise,
            "look": decision.budget.look if decision.budget is not None else None,
            "level": decision.budget.level if decision.budget is not None else None,
            "decision": str(record),
            "report": str(report),
        },
        lines=[decision.outcome, *(f"- {one}" for one in told), *([decision.promise] if decision.promise else [])],
        tables=[Table(title="checks", columns=("check", "split", "result", "upper bound", "limit", "why"), rows=rows)],
        after=[f"decision: {os.path.relpath(record)}", f"report:   {os.path.relpath(report)}"],
        exit_code=0 if decision.outcome == "PROMOTE" else GATE_SAID_NO,
    )


def _budget(decision: Decision) -> list[str]:
    """Which look this was at these samples, and what the next would be worth."""
    budget = decision.budget
    if budget is None or budget.level is None or not budget.looks:
        return []
    if budget.recorded:
        return ["this answer was on record and cost nothing"]
    told = f"this was look {budget.look} at these {words.count(budget.num_certify, 'sample')}"
    return [f"{told}; {words.next_look(budget)}"]


def _bound(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}%"
