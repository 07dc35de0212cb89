"""Says what a Bento serves: where its model lies below the Bento's root, what answers, and what its answers carry.

`identity.json` lies beside the model folder, so that equal files and requirements make an equal Bento.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.errors import DataError
from components.core.files import read_json

MODEL_FOLDER = "data/packaging/model"
IDENTITY_FILE = "data/packaging/identity.json"
SHORT_DIGEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The model's digest (64 hex), what its release says about it, and the packages it was checked with.

    `application` is the "module:function" that makes what answers, `endpoint` tells people what to ask.
    """

    model_digest: str
    application: str
    endpoint: str = ""
    version_info: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    def answer(self) -> dict[str, str]:
        """The `model` part of every answer: `digest`, `version` and whatever else the release says."""
        return {"version": self.model_digest[:SHORT_DIGEST], **self.version_info, "digest": self.model_digest}

    def to_json(self) -> dict[str, Any]:
        """The content of `identity.json`."""
        return {
            "model_digest": self.model_digest,
            "application": self.application,
            "endpoint": self.endpoint,
            "version_info": dict(self.version_info),
            "requirements": list(self.requirements),
        }


def read_identity(path: Path) -> Identity:
    """Read `identity.json`; DataError names the file and what is wrong in it."""
    value = read_json(path)
    try:
        return Identity(
            model_digest=str(value["model_digest"]),
            application=str(value["application"]),
            endpoint=str(value["endpoint"]),
            version_info={str(key): str(text) for key, text in value["version_info"].items()},
            requirements=tuple(str(line) for line in value["requirements"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: field {error} is missing or malformed; run the packaging stage again") from error
