"""Answers `POST /verify`: two photos in, whether they show one person out."""

from pathlib import Path

from components.serving.answering import answering
from components.serving.identity import Identity
from detent_pairs.verifier import load, score


def build_application(artefact: Path, identity: Identity) -> object:
    """An ASGI application over one artefact."""
    matrix, threshold = load(artefact)

    def verify(a: bytes, b: bytes) -> dict[str, object]:
        (found,) = score(matrix, [(a, b)]).tolist()
        return {"same": found >= threshold, "score": found}

    return answering("/verify", verify, fields=("a", "b"), identity=identity)
