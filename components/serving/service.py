"""The BentoML service: loads the model that lies in the Bento and answers `POST /classify`.

BentoML imports this module while it builds and in every process it starts; what is wrong with the Bento's
files is therefore told here, before a worker starts, and torch is loaded by the worker alone.
`GET /readyz` is BentoML's own and answers 200 once the model is loaded.
"""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml.exceptions import InvalidArgument

from components.core.errors import DetentError
from components.serving.classification import Classifier, build_application
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, Identity, read_identity
from components.serving.requirements import pinned_requirements

_ROOT = Path(__file__).resolve().parents[2]
_IMAGE = bentoml.images.Image(lock_python_packages=False).python_packages(*pinned_requirements())

application = build_application()


@bentoml.service(name="detent", image=_IMAGE, traffic={"timeout": 60})
@bentoml.asgi_app(application)
class Detent:
    """Classifies images with the model in this Bento."""

    def __init__(self) -> None:
        application.state.classifier = _load_classifier(_ROOT / MODEL_FOLDER, _identity)


def _check_files() -> Identity:
    from components.core.digests import digest_file, digest_json

    folder = _ROOT / MODEL_FOLDER
    files = [folder / "model.safetensors", folder / "model.json"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise InvalidArgument(
            f"no model at {MODEL_FOLDER}: {', '.join(missing)} missing; run `detent run packaging`, "
            "or copy a model folder (model.safetensors, model.json) there"
        )
    digest = digest_json([digest_file(file) for file in files])
    if not (_ROOT / IDENTITY_FILE).is_file():
        return Identity(model_digest=digest)
    try:
        identity = read_identity(_ROOT / IDENTITY_FILE)
    except DetentError as error:
        raise InvalidArgument(str(error)) from error
    if identity.model_digest != digest:
        raise InvalidArgument(
            f"the model at {MODEL_FOLDER} has digest {digest[:12]}, {IDENTITY_FILE} says "
            f"{identity.model_digest[:12]}: one of them was changed; run `detent run packaging` again"
        )
    return identity


def _load_classifier(folder: Path, identity: Identity) -> Classifier:
    from components.models.artefacts import load_model
    from components.models.prediction import predict
    from components.serving.batching import Batcher

    model = load_model(folder, digest=identity.model_digest)
    return Classifier(
        classes=model.spec.classes,
        size_px=model.spec.size_px,
        batcher=Batcher(lambda pixels: predict(model, pixels)),
        identity=identity,
    )


_identity = _check_files()
