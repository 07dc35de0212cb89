"""How the budget of a workspace's certify split stands, in words, and whether its anchor is safe in git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from components.core.decisions import Budget
from components.core.errors import ConfigError
from components.core.workspace import Workspace
from components.selection.gate import power, words
from components.selection.gate.bounds import most_flips
from components.selection.ledger.ledger import Standing
from components.selection.ledger.members import SplitMembers
from components.selection.ledger.spending import Account
from components.workloads.rails.looks import open_ledger
from components.workloads.rails.params import Params


def budget_of(workspace: Workspace, params: Params) -> Budget | None:
    """The budget of the present certify split; None where there is no such split. Spends nothing."""
    certify = workspace.samples("certify")
    if not any(certify.images.glob("*.parquet")) or not len(certify):
        return None
    table = certify.table(["images", "group"])
    images, groups = table["images"].combine_chunks().flatten().to_pylist(), table["group"]
    num_groups = len(groups.unique()) + max(0, groups.null_count - 1)  # a sample without a group is one by itself
    with open_ledger(workspace, params) as ledger:
        standing = ledger.standing(SplitMembers.of(images), params.selection.policy.spending)
    is_grouped = params.selection.policy.groups != "none" and num_groups < table.num_rows
    return _as_budget(standing, params, num_certify=table.num_rows, num_groups=num_groups if is_grouped else 0)


def fresh_split_size(params: Params) -> int:
    """The photos that a fresh certify split needs, so that a good candidate is promoted at its first look."""
    policy = params.selection.policy
    size = power.fresh_size(policy, Account.opened(policy.spending).next_level())
    if size is None:
        raise ConfigError("selection.policy allows so little that no certify split would promote even a good candidate")
    return size


def is_worn(budget: Budget, params: Params) -> bool:
    """Whether looks have left so little that a good candidate would seldom pass: due for `detent refresh`."""
    return bool(budget.looks) and not _suffices(budget, params)


def is_small(budget: Budget, params: Params) -> bool:
    """Whether a split that nobody has looked at is too small for a good candidate."""
    return not budget.looks and not _suffices(budget, params)


def tell_price(budget: Budget | None) -> str:
    """What the next look costs and is worth, before it is spent."""
    if budget is None:
        return "there is no certify split to look at"
    if budget.next_level <= 0.0:
        return words.next_look(budget)
    return f"{words.next_look(budget)}; every look makes the later ones dearer"


def anchor_warning(workspace: Workspace) -> str | None:
    """Why the ledger's anchor is not safe yet; None where git holds it as it is, or where there is none."""
    anchor = workspace.ledger_anchor
    if not anchor.is_file():
        return None
    name = anchor.relative_to(workspace.root)
    found = _git(workspace.root, "status", "--porcelain", "--ignored", "--", str(name))
    if found is None:
        return f"{name} is the witness of every look taken, and this is no git repository: keep a copy of it elsewhere"
    if found:
        return f"{name} is not committed: without it a lost ledger cannot be told from a fresh budget; commit it"
    return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _suffices(budget: Budget, params: Params) -> bool:
    """By the count of photos, or of groups where there are any: what a good candidate needs at the next look."""
    size = power.fresh_size(params.selection.policy, budget.next_level)
    return size is not None and (budget.num_groups or budget.num_certify) >= size


def _as_budget(standing: Standing, params: Params, *, num_certify: int, num_groups: int) -> Budget:
    policy = params.selection.policy
    level, limit = standing.next_level, policy.limit * (1.0 - policy.label_noise)
    return Budget(
        alpha=policy.spending.alpha,
        spent=policy.spending.alpha - standing.account.left,
        left=standing.account.left,
        planned_looks=policy.spending.planned_looks,
        num_certify=num_certify,
        looks=standing.looks,
        next_level=level,
        next_flips=most_flips(num_groups or num_certify, limit, level) if level > 0.0 else -1,
        num_groups=num_groups,
    )
