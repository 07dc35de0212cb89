"""Answers `POST /verify`: two photos in, whether they show one person out."""

from pathlib import Path
from typing import Any

from components.serving.answering import answering
from components.serving.identity import Identity
from detent_pairs.verifier import load, score


def build_application(artefact: Path, identity: Identity) -> Any:
    """An ASGI application over one artefact."""
    matrix, threshold = load(artefact)

    def verify(a: bytes, b: bytes) -> dict[str, Any]:
        (found,) = score(matrix, [(a, b)]).tolist()
        return {"same": found >= threshold, "score": found}

    return answering("/verify", verify, fields=("a", "b"), identity=identity)
