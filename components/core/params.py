"""Reads params.yaml once and checks it against typed sections; an unknown key names the known ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from components.core.errors import ConfigError


class Section(BaseModel):
    """Base of every section of params.yaml: frozen, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=BaseModel)


def read_params(path: Path) -> dict[str, Any]:
    """The parsed params.yaml; ConfigError when it is missing or no mapping."""
    import yaml

    if not path.is_file():
        raise ConfigError(f"{path} is missing: a workspace needs params.yaml beside dvc.yaml; restore it from git")
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, got {type(value).__name__}")
    return value


def parse_section(model: type[S], value: object, *, where: str) -> S:
    """Check `value` against `model`; every problem is named with its key, what was got and what is allowed."""
    try:
        return model.model_validate(value if value is not None else {})
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_problem(model, item) for item in error.errors())) from None


def _problem(model: type[BaseModel], item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(whole section)"
    if item["type"] == "extra_forbidden":
        return f"unknown parameter '{key}', known here: {', '.join(_known(model, item['loc'][:-1]))}"
    return f"'{key}': {item['msg']} (got {item['input']!r})"


def _known(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field is not None else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return sorted(model.model_fields)
