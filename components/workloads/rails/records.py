"""Reads back what a finished selection left in a workspace; needs no torch, so that status is quick.

The gate's word is carried: a winner is a name together with the Decision that let it through, and whoever acts on
one asks `check_winner` that this Decision is about what lies here now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.core.decisions import TARGETS, WINNER, Decision
from components.core.digests import digest_bytes, digest_file, digest_json, digest_tree
from components.core.errors import DataError, IntegrityError
from components.core.files import read_json
from components.core.manifest import Split
from components.core.workspace import Workspace
from components.models.identity import model_digest

PIN = "baseline.json"
INCUMBENT = "incumbent"  # the folder in the baseline of a model from elsewhere
_SUFFIX = ".decision.json"
_AGAIN = "`detent run` decides anew; nothing was proposed or promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """A candidate that the gate let through, and the Decision that says so.

    `stem` names the Decision's files, `digest` is that of the Decision. `target` is the device that it is for, or "".
    """

    candidate: str
    stem: str
    decision: Decision
    digest: str
    target: str = ""

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


def read_target_winners(workspace: Workspace) -> dict[str, Winner]:
    """By target the certified candidate that is to serve it; IntegrityError as for the winner.

    Selections of earlier versions named no Decision of a target, and proposed nothing for one.
    """
    path = workspace.stage("selection") / TARGETS
    value = read_json(path) if path.is_file() else {}
    return {
        target: _winner(
            path, one.get("candidate"), one["decision"].get("name"), named=one["decision"].get("digest"), target=target
        )
        for target, one in value.items()
        if one.get("decision") is not None
    }


def read_decisions(workspace: Workspace) -> dict[str, Decision]:
    """The decisions of the last selection by candidate; empty before the first."""
    paths = sorted(workspace.stage("selection").glob(f"*{_SUFFIX}"))
    return {path.name.removesuffix(_SUFFIX): Decision.from_json(path.read_text(encoding="utf-8")) for path in paths}


def check_winner(winner: Winner, workspace: Workspace, *, policy: str) -> None:
    """Raise IntegrityError unless the Decision is about the models, the data and the policy that are here now.

    `policy` is the present policy's digest.
    """
    present = {
        "candidate": model_digest(winner.model(workspace)),
        "champion": _champion_digest(workspace, winner.target),
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


def champion_folder(workspace: Workspace, target: str = "") -> Path | None:
    """The folder of the pinned champion's model, a target's own one where there is such.

    Before the first release it is an incumbent from elsewhere, or None.
    """
    pinned = read_json(workspace.baseline / PIN)
    if target in pinned.get("targets", {}):
        return target_champion(workspace.baseline, target)
    if pinned["model"] is not None:
        return workspace.baseline / "model"
    incumbent = workspace.baseline / INCUMBENT
    return incumbent if incumbent.is_dir() else None


def _champion_digest(workspace: Workspace, target: str) -> str:
    folder = champion_folder(workspace, target)
    if folder is None:
        return ""
    found, pinned = model_digest(folder), pinned_digest(workspace, target) or pinned_digest(workspace)
    if pinned is not None and found != pinned:
        raise IntegrityError(
            f"{folder} holds model {found[:12]}, {PIN} pins {pinned[:12]}: delete {workspace.baseline}, then {_AGAIN}"
        )
    return found


def pinned_digest(workspace: Workspace, target: str = "") -> str | None:
    """The digest of the pinned champion, or of a target's own; None when there is none, or nothing is pinned yet."""
    path = workspace.baseline / PIN
    pinned = read_json(path) if path.is_file() else {}
    digest = pinned.get("targets", {}).get(target) if target else pinned.get("model")
    return str(digest) if digest is not None else None


def bento_file(workspace: Workspace, target: str = "") -> Path:
    """Where it stands which Bento was made of the winner, or of what is to serve a target."""
    out = workspace.stage("packaging")
    return (out / "targets" / target if target else out) / "bento.json"


def target_champion(baseline: Path, target: str) -> Path:
    """Where the baseline keeps the model of a target's own champion."""
    return baseline / "targets" / target / "model"


def evaluation_digest(workspace: Workspace) -> str:
    """The digest of what candidates are evaluated on, search and certify: their questions and the photos.

    Of a workspace whose photos are each asked for their label, since no questions were written, that of the photos.
    """
    splits: tuple[Split, ...] = ("search", "certify")
    asked = [workspace.samples(split) for split in splits]
    photos = [digest_tree(samples.images, "*.parquet") for samples in asked]
    return digest_json([*photos, *(digest_file(samples.path) for samples in asked if samples.path.is_file())])


def _winner(path: Path, candidate: object, stem: object, *, named: object, target: str = "") -> Winner:
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
    return Winner(candidate=candidate, stem=stem, decision=decision, digest=digest, target=target)
