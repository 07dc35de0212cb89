"""What a classifier answered when it was evaluated, kept in one file, so that its Bento can be held to it.

Encoded images of the search split and the probabilities that the evaluation gave them. Arrays only, never a pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from components.core.errors import IntegrityError
from components.core.files import atomic_path
from components.core.samples import SampleSet
from components.core.workloads import Parity

if TYPE_CHECKING:
    from components.packaging.parity import Reference


def record(artefact: Path, samples: SampleSet, *, num_samples: int, out: Path, cache: Path) -> None:
    """Keep at most `num_samples` images, spread over the split, with the probabilities [N, num_classes] of each."""
    from components.workloads.classification.judging import parity_reference

    write_recording(out, parity_reference(artefact, samples.images, num_samples=num_samples, cache=cache))


def compare(port: int, recording: Path) -> Parity:
    """Ask `POST /classify` again: every best class must be the same, no probability further off than the tolerance."""
    from components.packaging.parity import TOLERANCE, check_server

    report = check_server(port, read_recording(recording))
    return Parity(num_samples=report.num_samples, max_difference=report.max_difference, tolerance=TOLERANCE)


def write_recording(path: Path, reference: Reference) -> None:
    """Write images and probabilities atomically."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            sample_ids=np.array(reference.sample_ids),
            lengths=np.array([len(image) for image in reference.images]),
            images=np.frombuffer(b"".join(reference.images), dtype=np.uint8),
            probabilities=reference.probabilities,
            classes=np.array(reference.classes),
            model_digest=np.array(reference.model_digest),
        )


def read_recording(path: Path) -> Reference:
    """Read images and probabilities back; IntegrityError when the file is damaged."""
    from components.packaging.parity import Reference

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["lengths"])
            images = arrays["images"].tobytes()
            return Reference(
                sample_ids=tuple(arrays["sample_ids"].tolist()),
                images=tuple(images[end - size : end] for end, size in zip(ends, arrays["lengths"], strict=True)),
                probabilities=arrays["probabilities"],
                classes=tuple(arrays["classes"].tolist()),
                model_digest=str(arrays["model_digest"]),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise IntegrityError(f"{path} cannot be read ({error}): restore it from a backup") from error
