"""Asks a running server questions about images, as `answering.py` takes them; a workload's `compare` goes by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from components.core.errors import IntegrityError
from components.core.progress import track
from components.core.workloads import Parity

NUM_CLIENTS = 8
_TIMEOUT_S = 60.0
_NUM_NAMED = 10


def ask_all(port: int, path: str, questions: Sequence[Mapping[str, bytes]]) -> list[dict[str, Any]]:
    """The answers of a local server to `POST path`, in order; each question is its encoded images by field.

    IntegrityError tells the first question that was not answered, and why.
    """
    import httpx

    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_TIMEOUT_S, trust_env=False) as client,
        ThreadPoolExecutor(NUM_CLIENTS) as pool,
    ):

        def ask(question: Mapping[str, bytes]) -> dict[str, Any] | str:
            try:
                response = client.post(path, files={name: (name, image) for name, image in question.items()})
            except httpx.TransportError as error:
                return f"no answer: {error}"
            if response.status_code != httpx.codes.OK:
                return f"HTTP {response.status_code}: {response.text[:200]}"
            answer: dict[str, Any] = response.json()
            return answer

        answers = list(track(pool.map(ask, questions), "asking", total=len(questions)))
    faults = [f"question {number}: {fault}" for number, fault in enumerate(answers, 1) if isinstance(fault, str)]
    if faults:
        raise IntegrityError(f"{len(faults)} of {len(answers)} questions to POST {path} were not answered; {faults[0]}")
    return [answer for answer in answers if not isinstance(answer, str)]


def agree(differences: Mapping[str, float], *, tolerance: float) -> Parity:
    """A passed comparison of answers that differ by so much from what was recorded, by sample id.

    IntegrityError names the samples whose answers differ by more than `tolerance`, or by NaN.
    """
    faults = [f"{name} (by {value:.2g})" for name, value in differences.items() if not value <= tolerance]
    if faults:
        raise IntegrityError(
            f"the Bento answers {len(faults)} of {len(differences)} samples otherwise than recorded, allowed is "
            f"{tolerance:g}: {'; '.join(faults[:_NUM_NAMED])}; package the model that was evaluated"
        )
    return Parity(
        num_samples=len(differences), max_difference=max(differences.values(), default=0.0), tolerance=tolerance
    )
