"""The BentoML service: hosts the application of the workload whose model lies in the Bento.

BentoML imports this module while it builds and in every process it starts; what is wrong with the Bento's files is
therefore told here, before a worker starts, and the workload's modules are imported by the worker alone.
`GET /readyz` is BentoML's own and answers 200 once the application is made, its model loaded.
"""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml.exceptions import InvalidArgument

from components.core.errors import DetentError
from components.models.identity import model_digest
from components.serving.hosting import Host, make_application
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, Identity, read_identity

_ROOT = Path(__file__).resolve().parents[2]


def _check_files() -> Identity:
    try:
        digest = model_digest(_ROOT / MODEL_FOLDER)
    except DetentError as error:
        raise InvalidArgument(f"no model at {MODEL_FOLDER} to serve, run `detent run packaging`: {error}") from error
    if not (_ROOT / IDENTITY_FILE).is_file():
        raise InvalidArgument(f"{IDENTITY_FILE} is missing, which says what to serve: run `detent run packaging`")
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


identity = _check_files()
host = Host()
_IMAGE = bentoml.images.Image(lock_python_packages=False).python_packages(*identity.requirements)


@bentoml.service(name="detent", image=_IMAGE, traffic={"timeout": 60})
@bentoml.asgi_app(host)
class Detent:
    """Answers with the model in this Bento."""

    def __init__(self) -> None:
        host.adopt(make_application(_ROOT / MODEL_FOLDER, identity), endpoint=identity.endpoint)
