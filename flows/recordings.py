"""Keeps what a champion answered when it was packaged, so that a rollback can prove that it still does.

One file a Bento, `HOME/recordings/DIGEST`, a copy of what its packaging was proven with; what is in it is the
workload's affair. Earlier versions called it `DIGEST.npz`.
"""

from __future__ import annotations

from pathlib import Path

from components.core.champions import Champion
from components.core.errors import IntegrityError
from components.core.workspace import Workspace
from components.packaging.packaging import keep_recording
from components.promotion.promotions import Reverify
from components.workloads.rails.records import bento_file
from components.workloads.registry import find_workload


def keep_winners_recording(workspace: Workspace, bento_digest: str, *, target: str = "") -> None:
    """Keep what the winning Bento, or a target's, was held to when it was packaged, unless it is kept already."""
    if _find(workspace, bento_digest) is None:
        keep_recording(bento_file(workspace, target).parent, _folder(workspace) / bento_digest)


def reverify_in(workspace: Workspace) -> Reverify:
    """A check for rollback: the Bento's content has its digest, and it answers as recorded."""

    def reverify(champion: Champion) -> None:
        from components.packaging.building import BentoRef, check_content, find_bento
        from components.packaging.parity import check_parity

        if champion.bento is None or champion.bento_digest is None:
            raise IntegrityError(
                f"version {champion.version} was never packaged, so it cannot be verified and served; choose another"
                " champion with --to"
            )
        path = find_bento(workspace.bentos, champion.bento)
        bento = BentoRef(tag=champion.bento, digest=champion.bento_digest, path=path, model_digest=champion.model)
        check_content(bento)
        recording = _find(workspace, champion.bento_digest)
        if recording is None:
            raise IntegrityError(
                f"the answers of version {champion.version} are not in {_folder(workspace) / champion.bento_digest}: "
                "restore the file, or choose another champion with --to"
            )
        check_parity(bento, recording, compare=find_workload(champion.workload).compare)

    return reverify


def _find(workspace: Workspace, bento_digest: str) -> Path | None:
    paths = (_folder(workspace) / name for name in (bento_digest, f"{bento_digest}.npz"))
    return next((path for path in paths if path.is_file()), None)


def _folder(workspace: Workspace) -> Path:
    return workspace.home / "recordings"
