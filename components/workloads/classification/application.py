"""Answers `POST /classify`: an image in, the five likeliest classes in order and the model's identity out.

Whatever is wrong with a request is answered with a status of 4xx and a reason, never logged.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from components.core.errors import DataError
from components.datasets.decoding import decode_fit
from components.serving.batching import Batcher
from components.serving.identity import Identity
from components.serving.uploads import UploadError, read_image

NUM_BEST = 5


class Prediction(BaseModel):
    """A class and its probability."""

    label: str
    probability: float


class ModelIdentity(BaseModel):
    """Which model answered; more fields where its release says more."""

    model_config = ConfigDict(extra="allow")

    digest: str
    version: str


class Answer(BaseModel):
    """The best classes, likeliest first."""

    predictions: list[Prediction]
    model: ModelIdentity


class Problem(BaseModel):
    """What is wrong with a request and what would be right."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """What the application needs of a model: its classes, its input side and a batcher over its network."""

    classes: tuple[str, ...]
    size_px: int
    batcher: Batcher
    identity: Identity


_REQUEST = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "binary"}},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "byte", "description": "base64"}},
            }
        },
    },
}
_PROBLEMS: dict[int | str, dict[str, object]] = {status: {"model": Problem} for status in (400, 413, 415)}


def make_application(artefact: Path, identity: Identity) -> FastAPI:
    """The application on a model: loads it, and checks that it is the one of this identity."""
    from components.models.artefacts import load_model
    from components.models.prediction import predict

    model = load_model(artefact, digest=identity.model_digest)
    batcher = Batcher(lambda pixels: predict(model, pixels))
    return build_application(
        Classifier(classes=model.spec.classes, size_px=model.spec.size_px, batcher=batcher, identity=identity)
    )


def build_application(classifier: Classifier) -> FastAPI:
    """The web application around a classifier."""
    application = FastAPI(title="Detent", docs_url=None, redoc_url=None, openapi_url=None)
    application.state.classifier = classifier
    application.add_api_route(
        "/classify",
        _classify,
        methods=["POST"],
        response_model=Answer,
        responses=_PROBLEMS,
        openapi_extra={"requestBody": _REQUEST},
    )
    return application


async def _classify(request: Request) -> Response:
    """Classify one image: the five likeliest classes in order, with the model that says so."""
    classifier: Classifier = request.app.state.classifier
    try:
        encoded = await read_image(request)
        async with _decoding_slots(request):
            pixels = await asyncio.to_thread(decode_fit, encoded, classifier.size_px, name="field 'image'")
    except UploadError as error:
        return JSONResponse({"error": str(error)}, status_code=error.status)
    except DataError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except ClientDisconnect:
        return JSONResponse({"error": "the request ended early"}, status_code=400)
    probabilities = await classifier.batcher.submit(pixels)
    answer = {"predictions": best_classes(probabilities, classifier.classes), "model": classifier.identity.answer()}
    return JSONResponse(answer)


def _decoding_slots(request: Request) -> asyncio.Semaphore:
    """One decoder a core: large images that wait cost their encoded bytes, not their pixels."""
    state = request.app.state
    if not hasattr(state, "decoding"):
        state.decoding = asyncio.Semaphore(os.cpu_count() or 1)
    slots: asyncio.Semaphore = state.decoding
    return slots


def best_classes(probabilities: NDArray[np.float32], classes: tuple[str, ...]) -> list[dict[str, str | float]]:
    """The likeliest classes of one row [num_classes], at most five, in order; equals in order of class."""
    order = np.argsort(-probabilities, kind="stable")[:NUM_BEST]
    return [{"label": classes[i], "probability": float(probabilities[i])} for i in order]
