"""Settings are read strictly: what is unknown or wrong is named with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from components.core.errors import ConfigError
from components.core.params import Section, parse_section, read_params


class Inner(Section):
    rate: float = Field(default=0.1, gt=0)
    steps: int = 3


class Outer(Section):
    name: str = "x"
    inner: Inner = Inner()


def test_values_and_defaults() -> None:
    assert parse_section(Outer, {"inner": {"steps": 5}}, where="p") == Outer(inner=Inner(steps=5))
    assert parse_section(Outer, None, where="p") == Outer()
    with pytest.raises(ValidationError):
        Outer().name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"nmae": "x"}, ["params: unknown parameter 'nmae'", "inner, name"]),
        ({"inner": {"step": 1}}, ["'inner.step'", "rate, steps"]),
        ({"inner": {"rate": -1}}, ["'inner.rate'", "greater than 0", "got -1"]),
        ({"name": 5, "inner": {"steps": "many"}}, ["'name'", "'inner.steps'", "got 'many'"]),
        ([1], ["(whole section)"]),
    ],
)
def test_faults_are_named(value: object, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_section(Outer, value, where="params")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(("text", "words"), [("a: [", "not valid YAML"), ("- 1", "mapping"), ("", "mapping")])
def test_files_that_are_no_settings_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(ConfigError, match="is missing"):
        read_params(path)
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_params(path)
    path.write_text("training: {steps: 1}")
    assert read_params(path) == {"training": {"steps": 1}}
