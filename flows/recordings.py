"""Keeps what a champion answered when it was promoted, so that a rollback can prove that it still does.

One file a Bento, `HOME/recordings/DIGEST.npz`: encoded images of the search split and the probabilities that the
evaluation gave them. Arrays only, never a pickle.
"""

from __future__ import annotations

from pathlib import Path

from components.core.errors import IntegrityError
from components.core.workspace import Workspace
from components.promotion.promotions import Reverify
from components.promotion.rows import Champion


def record_predictions(workspace: Workspace, model: Path, bento_digest: str, *, num_samples: int) -> None:
    """Keep a winning model's predictions on samples of the search split, unless they are kept already."""
    path = _path(workspace, bento_digest)
    if path.is_file():
        return
    from components.workloads.classification.judging import parity_reference
    from components.workloads.classification.recording import write_recording

    photos = workspace.stage("validation") / "photos" / "search"
    write_recording(path, parity_reference(model, photos, num_samples=num_samples, cache=workspace.cache))


def reverify_in(workspace: Workspace) -> Reverify:
    """A check for rollback: the Bento's content has its digest, and it reproduces its recorded predictions."""

    def reverify(champion: Champion) -> None:
        from components.packaging.building import BentoRef, check_content, find_bento
        from components.packaging.parity import check_parity
        from components.workloads.classification.recording import read_recording

        if champion.bento is None or champion.bento_digest is None:
            raise IntegrityError(
                f"version {champion.version} was never packaged, so it cannot be verified and served; choose another"
                " champion with --to"
            )
        path = find_bento(workspace.bentos, champion.bento)
        bento = BentoRef(tag=champion.bento, digest=champion.bento_digest, path=path, model_digest=champion.model)
        check_content(bento)
        recording = _path(workspace, champion.bento_digest)
        if not recording.is_file():
            raise IntegrityError(
                f"the predictions of version {champion.version} are not in {recording}: restore the file, "
                "or choose another champion with --to"
            )
        check_parity(bento, read_recording(recording))

    return reverify


def _path(workspace: Workspace, bento_digest: str) -> Path:
    return workspace.home / "recordings" / f"{bento_digest}.npz"
