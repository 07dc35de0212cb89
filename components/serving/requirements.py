"""The packages that a served Bento needs, pinned to the versions that its parity was checked with.

BentoML is not named: a build adds its own version to the Bento's requirements. A model that runs an ONNX program needs
onnxruntime as well; whether it does is read from the model's card, which lies in the Bento too.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from components.core.errors import UnavailableError
from components.core.files import read_json
from components.models.identity import CARD
from components.serving.identity import MODEL_FOLDER

SERVED_PACKAGES = (
    "fastapi",
    "numpy",
    "pillow",
    "psutil",
    "pydantic",
    "python-multipart",
    "safetensors",
    "torch",
    "torchvision",
)
ONNX_PACKAGE = "onnxruntime"
_OWN_MODEL = Path(__file__).resolve().parents[2] / MODEL_FOLDER


def pinned_requirements(model_folder: Path = _OWN_MODEL) -> tuple[str, ...]:
    """`name==version` of each package that serving this model needs, as installed here, in order of name.

    Without a model there, those that every model needs. UnavailableError when one is not installed.
    """
    names = sorted((*SERVED_PACKAGES, ONNX_PACKAGE) if _runs_onnx(model_folder / CARD) else SERVED_PACKAGES)
    try:
        return tuple(f"{name}=={version(name).partition('+')[0]}" for name in names)
    except PackageNotFoundError as error:
        raise UnavailableError(f"serving this model needs {error.name}: pip install {error.name}") from error


def _runs_onnx(card: Path) -> bool:
    if not card.is_file() or '"onnx"' not in card.read_text(encoding="utf-8"):
        return False  # most models; torch, which the next line imports, is for the worker alone
    from components.models.foreign.onnx_networks import needs_onnx

    return needs_onnx(read_json(card)["architecture"])
