"""Reads back what a finished selection left in a workspace; needs no torch, so that status is quick.

The gate's word is carried: a winner is a name together with the Decision that let it through, and whoever acts on
one asks `check_winner` that this Decision is about what lies here now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import components
from components.core.decisions import Decision
from components.core.digests import digest_bytes, digest_json, digest_tree
from components.core.errors import DataError, IntegrityError
from components.core.files import read_json
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.workloads.incumbents import INCUMBENT

WINNER = "winner.json"
_SUFFIX = ".decision.json"
_AGAIN = "`detent run` decides anew; nothing was proposed or promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """A candidate that the gate let through, and the Decision that says so.

    `stem` names the Decision's files, `digest` is that of the Decision.
    """

    candidate: str
    stem: str
    decision: Decision
    digest: str

    def model(self, workspace: Workspace) -> Path:
        """The folder of its model."""
        return workspace.stage("training") / self.candidate / "model"


def read_winner(workspace: Workspace) -> Winner | None:
    """The candidate that the gate let through, or None; also None before the first selection.

    IntegrityError when its Decision is missing, is not PROMOTE, or is another than the one that the gate named.
    """
    path = workspace.stage("selection") / WINNER
    value = read_json(path) if path.is_file() else {}
    candidate = value.get("candidate")
    return None if candidate is None else _winner(path, candidate, candidate, named=value.get("decision"))


def winner_json(candidate: str | None, decisions: Mapping[str, Decision]) -> dict[str, Any]:
    """What winner.json holds: the candidate, and the digest of the Decision that lets it through."""
    return {"candidate": candidate, "decision": decisions[candidate].digest if candidate is not None else None}


def read_decisions(workspace: Workspace) -> dict[str, Decision]:
    """The decisions of the last selection by candidate; empty before the first."""
    paths = sorted(workspace.stage("selection").glob(f"*{_SUFFIX}"))
    return {path.name.removesuffix(_SUFFIX): Decision.from_json(path.read_text(encoding="utf-8")) for path in paths}


def check_winner(winner: Winner, workspace: Workspace, *, policy: str) -> None:
    """Raise IntegrityError unless the Decision is about the models, the data and the policy that are here now.

    `policy` is the present policy's digest.
    """
    champion = champion_folder(workspace)
    present = {
        "candidate": model_digest(winner.model(workspace)),
        "champion": model_digest(champion) if champion is not None else "",
        "dataset": evaluation_digest(workspace),
        "policy": policy,
    }
    decided = winner.decision.digests
    changed = [
        f"{name} {decided.get(name, '')[:12] or 'none'}, and here is {digest[:12] or 'none'}"
        for name, digest in present.items()
        if decided.get(name, "") != digest
    ]
    if changed:
        raise IntegrityError(f"the decision on {winner.stem} is about {'; '.join(changed)}: {_AGAIN}")


def champion_folder(workspace: Workspace) -> Path | None:
    """The folder of the pinned champion's model; before the first release an incumbent from elsewhere, or None."""
    if read_json(workspace.baseline / "baseline.json")["model"] is not None:
        return workspace.baseline / "model"
    incumbent = workspace.baseline / INCUMBENT
    return incumbent if incumbent.is_dir() else None


def evaluation_digest(workspace: Workspace) -> str:
    """The digest of what candidates are evaluated on: search and certify."""
    photos = workspace.stage("validation") / "photos"
    return digest_json([digest_tree(photos / split, "*.parquet") for split in ("search", "certify")])


@cache
def code_digest() -> str:
    """The digest of the code that trains, evaluates, decides and promotes, as it lay when first asked.

    It is the code that this process runs, wherever that is installed; a workspace may hold none, or a copy.
    """
    root = Path(components.__file__).parent
    return digest_json([digest_tree(root, pattern) for pattern in ("*.py", "*.j2")])


def _winner(path: Path, candidate: object, stem: object, *, named: object) -> Winner:
    if not isinstance(candidate, str) or not isinstance(stem, str) or Path(stem).name != stem:
        raise IntegrityError(f"{path} names {candidate!r} as winner, which is no candidate's name: {_AGAIN}")
    file = path.with_name(stem + _SUFFIX)
    if not file.is_file():
        raise IntegrityError(f"{path} names {candidate} as winner, whose decision {file.name} is missing: {_AGAIN}")
    text = file.read_bytes()
    digest = digest_bytes(text)
    try:
        decision = Decision.from_json(text.decode())
    except (DataError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{file} cannot be read ({error}): {_AGAIN}") from error
    if named is not None and digest != named:
        raise IntegrityError(
            f"{file} has digest {digest[:12]}, the gate wrote {str(named)[:12]} into {path.name}: one of them was "
            f"altered; {_AGAIN}"
        )
    if decision.outcome != "PROMOTE" or decision.candidate != candidate:
        raise IntegrityError(
            f"{path} names {candidate} as winner, the gate said {decision.outcome} of {decision.candidate} in "
            f"{file.name}: {_AGAIN}"
        )
    return Winner(candidate=candidate, stem=stem, decision=decision, digest=digest)
