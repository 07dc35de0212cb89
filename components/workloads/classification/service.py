"""What the Bento of a classifier answers with, for every workload that is classification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.core.files import read_json
from components.core.workloads import Service
from components.models.identity import CARD

ONNX_PACKAGE = "onnxruntime"


def packages_of(artefact: Path) -> Sequence[str]:
    """What this model needs besides: onnxruntime where an ONNX program runs, however deep inside."""
    card = artefact / CARD
    if '"onnx"' not in card.read_text(encoding="utf-8"):
        return ()  # most models; torch, which the next line imports, takes a second
    from components.models.foreign.onnx_networks import needs_onnx

    return (ONNX_PACKAGE,) if needs_onnx(read_json(card)["architecture"]) else ()


SERVICE = Service(
    application="components.workloads.classification.application:make_application",
    endpoint="POST /classify",
    description="Classifies images: POST /classify, field image (multipart file, or base64 in JSON).",
    packages=("pillow", "safetensors", "torch", "torchvision"),
    more_packages=packages_of,
)
