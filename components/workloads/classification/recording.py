"""What a classifier answered when it was evaluated, kept in one file, so that its Bento can be held to it.

Encoded images and the probabilities that the evaluation gave them. Arrays only, never a pickle. A Bento agrees when
the best class of every image is the same and no probability in its answer differs by more than TOLERANCE; the
differences that remain come from batches of other sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError, IntegrityError
from components.core.files import atomic_path
from components.core.progress import track
from components.core.samples import SampleSet
from components.core.workloads import Parity

TOLERANCE = 1e-3
TIE = 1e-5  # two classes this close may swap places by rounding alone
NUM_CLIENTS = 8
_REQUEST_TIMEOUT_S = 60.0
_NUM_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Encoded images with the probabilities [N, num_classes] of the evaluation."""

    sample_ids: tuple[str, ...]
    images: tuple[bytes, ...]
    probabilities: NDArray[np.float32]
    classes: tuple[str, ...]
    model_digest: str


def record(artefact: Path, samples: SampleSet, *, num_samples: int, out: Path, cache: Path) -> None:
    """Keep at most `num_samples` images, spread over the split, with the probabilities of each.

    Only these are predicted, of the pixels that the evaluation saw. DataError when there is no sample, or when the
    model gives NaN.
    """
    from components.core import manifest
    from components.datasets.pixels import PixelStore
    from components.models.artefacts import load_model
    from components.models.prediction import predict

    model = load_model(artefact)
    store = PixelStore.open(samples.images, size_px=model.spec.size_px, cache=cache)
    asked = samples.table(["sample_id", "images"])
    if not asked.num_rows:
        raise DataError(f"{samples.images} holds no sample to hold a Bento to; give the search split a share of photos")
    asked = asked.take(np.unique(np.linspace(0, len(asked) - 1, min(num_samples, len(asked))).round().astype(int)))
    place = {name: row for row, name in enumerate(store.sample_ids)}
    rows = [place[images[0]] for images in asked["images"].to_pylist()]
    encoded = manifest.dataset(samples.images).take(rows, columns=["image"]).column("image").to_pylist()
    probabilities = predict(model, store.pixels[rows])
    if not np.isfinite(probabilities).all():
        raise DataError(f"model {model.digest[:12]} gives NaN and cannot be packaged; train it again more slowly")
    kept = Recording(
        sample_ids=tuple(asked["sample_id"].to_pylist()),
        images=tuple(image["bytes"] for image in encoded),
        probabilities=probabilities,
        classes=model.spec.classes,
        model_digest=model.digest,
    )
    write_recording(out, kept)


def compare(port: int, recording: Path) -> Parity:
    """Ask `POST /classify` of a local server again; IntegrityError names the samples that are answered differently."""
    kept = read_recording(recording)
    answers = _ask_all(port, kept)
    differences = [_difference(answer, kept, row) for row, answer in enumerate(answers)]
    faults = [
        f"{kept.sample_ids[row]} ({difference})"
        for row, difference in enumerate(differences)
        if isinstance(difference, str)
    ]
    if faults:
        raise IntegrityError(_describe(faults, len(answers)))
    served = {answer["model"]["digest"] for answer in answers if isinstance(answer, dict)}
    if served - {kept.model_digest}:
        raise IntegrityError(
            f"the Bento serves model {', '.join(sorted(name[:12] for name in served))}, evaluated was "
            f"{kept.model_digest[:12]}; package the model that was evaluated"
        )
    largest = max((value for value in differences if isinstance(value, float)), default=0.0)
    return Parity(num_samples=len(answers), max_difference=largest, tolerance=TOLERANCE)


def write_recording(path: Path, kept: Recording) -> None:
    """Write images and probabilities atomically."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            sample_ids=np.array(kept.sample_ids),
            lengths=np.array([len(image) for image in kept.images]),
            images=np.frombuffer(b"".join(kept.images), dtype=np.uint8),
            probabilities=kept.probabilities,
            classes=np.array(kept.classes),
            model_digest=np.array(kept.model_digest),
        )


def read_recording(path: Path) -> Recording:
    """Read images and probabilities back; IntegrityError when the file is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["lengths"])
            images = arrays["images"].tobytes()
            kept = Recording(
                sample_ids=tuple(arrays["sample_ids"].tolist()),
                images=tuple(images[end - size : end] for end, size in zip(ends, arrays["lengths"], strict=True)),
                probabilities=arrays["probabilities"],
                classes=tuple(arrays["classes"].tolist()),
                model_digest=str(arrays["model_digest"]),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise IntegrityError(f"{path} cannot be read ({error}): restore it from a backup") from error
    shape = (len(kept.sample_ids), len(kept.classes))
    if len(kept.images) != shape[0] or kept.probabilities.shape != shape or not np.isfinite(kept.probabilities).all():
        raise IntegrityError(
            f"{path} holds {shape[0]} sample ids, {len(kept.images)} images and probabilities of shape "
            f"{kept.probabilities.shape}, expected finite ones of shape {shape}: restore it from a backup"
        )
    return kept


def _ask_all(port: int, kept: Recording) -> Sequence[dict[str, Any] | str]:
    """The answers in order of the sample; a string says why there is none."""
    import httpx

    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_REQUEST_TIMEOUT_S, trust_env=False) as client,
        ThreadPoolExecutor(NUM_CLIENTS) as pool,
    ):

        def ask(encoded: bytes) -> dict[str, Any] | str:
            try:
                response = client.post("/classify", files={"image": ("image", encoded)})
            except httpx.TransportError as error:
                return f"no answer: {error}"
            if response.status_code != httpx.codes.OK:
                return f"HTTP {response.status_code}: {response.text[:200]}"
            answer: dict[str, Any] = response.json()
            return answer

        return list(track(pool.map(ask, kept.images), "parity", total=len(kept.images)))


def _difference(answer: dict[str, Any] | str, kept: Recording, row: int) -> float | str:
    """The largest difference in probability of one answer, or what is wrong with it."""
    if isinstance(answer, str):
        return answer
    expected = dict(zip(kept.classes, map(float, kept.probabilities[row]), strict=True))
    best = max(expected, key=lambda name: expected[name])
    predictions = answer["predictions"]
    first = predictions[0]["label"]
    if expected.get(first, -1.0) < expected[best] - TIE:
        return f"answers {first!r}, evaluated was {best!r}"
    difference = max(abs(item["probability"] - expected.get(item["label"], -1.0)) for item in predictions)
    if difference > TOLERANCE:
        return f"probabilities differ by {difference:.2g}, allowed is {TOLERANCE:g}"
    return float(difference)


def _describe(faults: Sequence[str], num_samples: int) -> str:
    named = "; ".join(faults[:_NUM_NAMED])
    more = f"; and {len(faults) - _NUM_NAMED} more" if len(faults) > _NUM_NAMED else ""
    return (
        f"the Bento does not reproduce the evaluation on {len(faults)} of {num_samples} samples: "
        f"{named}{more}; package the model that was evaluated, with the decoder that it was evaluated with"
    )
