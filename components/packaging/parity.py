"""Decides whether a built Bento answers as the evaluated model did: started for real, asked over HTTP.

The best class of every sample must be the same, and no probability in the answer may differ by more than
TOLERANCE; the differences that remain come from batches of other sizes. The sample is of the search split.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError, IntegrityError, UnavailableError
from components.core.progress import track
from components.packaging.building import BentoRef, check_content
from components.serving.server import START_TIMEOUT_S, free_port, running, wait_until_ready

TOLERANCE = 1e-3
TIE = 1e-5  # two classes this close may swap places by rounding alone
NUM_CLIENTS = 8
_REQUEST_TIMEOUT_S = 60.0
_NUM_NAMED = 10
_LOG_TAIL = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the Bento must reproduce: encoded images with the probabilities [N, num_classes] of the evaluation."""

    sample_ids: tuple[str, ...]
    images: tuple[bytes, ...]
    probabilities: NDArray[np.float32]
    classes: tuple[str, ...]
    model_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """A passed check: every best class the same, no probability further off than `max_difference`."""

    num_samples: int
    max_difference: float

    def to_json(self) -> dict[str, Any]:
        """The report with its limit, without time stamps."""
        return {**asdict(self), "max_difference": round(self.max_difference, 6), "tolerance": TOLERANCE}


def check_parity(bento: BentoRef, reference: Reference, *, timeout_s: float = START_TIMEOUT_S) -> ParityReport:
    """Start the Bento, classify the sample over HTTP and compare; the server is stopped in every case.

    IntegrityError names the samples that are answered differently, or a Bento whose files were changed;
    UnavailableError a server that is not ready after `timeout_s`; DataError a reference that is no evidence.
    """
    _check_reference(reference)
    check_content(bento)
    with _server(bento, timeout_s) as port:
        return check_server(port, reference)


def check_server(port: int, reference: Reference) -> ParityReport:
    """Compare what the server on a local port answers; IntegrityError names the samples that differ."""
    answers = _ask_all(port, reference)
    differences = [_difference(answer, reference, row) for row, answer in enumerate(answers)]
    faults = [
        f"{reference.sample_ids[row]} ({difference})"
        for row, difference in enumerate(differences)
        if isinstance(difference, str)
    ]
    if faults:
        raise IntegrityError(_describe(faults, len(answers)))
    served = {answer["model"]["digest"] for answer in answers if isinstance(answer, dict)}
    if served != {reference.model_digest}:
        raise IntegrityError(
            f"the Bento serves model {', '.join(sorted(name[:12] for name in served))}, evaluated was "
            f"{reference.model_digest[:12]}; package the model that was evaluated"
        )
    largest = max(value for value in differences if isinstance(value, float))
    return ParityReport(num_samples=len(answers), max_difference=largest)


def _check_reference(reference: Reference) -> None:
    num = len(reference.sample_ids)
    shape = (num, len(reference.classes))
    if num == 0:
        raise DataError("parity needs at least one sample, got none; take some of the search split")
    if len(reference.images) != num or reference.probabilities.shape != shape:
        raise DataError(
            f"parity got {num} sample ids, {len(reference.images)} images and probabilities of shape "
            f"{reference.probabilities.shape}, expected {shape}"
        )
    if not np.isfinite(reference.probabilities).all():
        raise DataError("the probabilities to compare with hold NaN; a model that gives NaN cannot be packaged")


@contextmanager
def _server(bento: BentoRef, timeout_s: float) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryFile() as log, running(bento.path, port=port, log=log) as process:
        try:
            wait_until_ready(process, port=port, timeout_s=timeout_s)
        except UnavailableError as error:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-_LOG_TAIL:].strip()
            raise UnavailableError(f"the Bento {bento.tag} did not start: {error}\n{tail}") from error
        yield port


def _ask_all(port: int, reference: Reference) -> Sequence[dict[str, Any] | str]:
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

        return list(track(pool.map(ask, reference.images), "parity", total=len(reference.images)))


def _difference(answer: dict[str, Any] | str, reference: Reference, row: int) -> float | str:
    """The largest difference in probability of one answer, or what is wrong with it."""
    if isinstance(answer, str):
        return answer
    expected = dict(zip(reference.classes, map(float, reference.probabilities[row]), strict=True))
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


def predict_reference(model_folder: Path, samples: Sequence[tuple[str, bytes]]) -> Reference:
    """A reference made here and now: decode and predict (id, encoded image) pairs as an evaluation does."""
    from components.datasets.decoding import decode_fit
    from components.models.artefacts import load_model
    from components.models.prediction import predict

    model = load_model(model_folder)
    pixels = [decode_fit(encoded, model.spec.size_px, name=sample_id) for sample_id, encoded in samples]
    size = model.spec.size_px
    stacked = np.stack(pixels) if pixels else np.empty((0, size, size, 3), np.uint8)
    return Reference(
        sample_ids=tuple(sample_id for sample_id, _ in samples),
        images=tuple(encoded for _, encoded in samples),
        probabilities=predict(model, stacked),
        classes=model.spec.classes,
        model_digest=model.digest,
    )
