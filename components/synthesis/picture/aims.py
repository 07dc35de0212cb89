"""Aims: which part of the images is made on purpose where a model errs, drawn for each image from its own generator.

A generator that follows aims asks three things of an image, in this order and with that image's rng: which aim it
follows (`choose_aim`), what it shows (`aimed_label`) and within which ranges its factors are drawn (`aimed_draw`).
Without aims none of them draws a number, so images made before there were aims stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from components.core.errors import ConfigError
from components.core.params import Section
from components.synthesis.picture.factors import FactorDraw, Range


class Aim(Section):
    """A share of all images that shows only some classes, with some factors in narrower ranges or fewer words."""

    share: float = Field(gt=0, le=1, description="of all images")
    classes: tuple[str, ...] = Field((), description="classes to show; none given: every class")
    ranges: dict[str, Range] = Field(default_factory=dict, description="factor without its f_: [low, high]")
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="factor without its f_: its words")

    @field_validator("ranges")
    @classmethod
    def _check_ranges(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        for name, (low, high) in ranges.items():
            _check_name(name)
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise ValueError(f"the range of {name} must rise and be finite, got [{low}, {high}]")
        return ranges

    @field_validator("words")
    @classmethod
    def _check_words(cls, words: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, meant in words.items():
            _check_name(name)
            if not meant:
                raise ValueError(f"no words are given for {name}; name those that are meant, or leave it out")
        return words

    @model_validator(mode="after")
    def _check_purpose(self) -> Aim:
        if not self.classes and not self.ranges and not self.words:
            raise ValueError("an aim without classes, ranges and words aims at nothing; give one of them")
        if twice := sorted(set(self.ranges) & set(self.words)):
            raise ValueError(f"{twice} have a range and words; a factor is either a number or a word")
        return self


def _check_name(name: str) -> None:
    if name.startswith("f_"):
        raise ValueError(f"name the factor without its prefix: {name[2:]}, not {name}")


def check_shares(aims: tuple[Aim, ...]) -> tuple[Aim, ...]:
    """The aims, whose shares together are at most 1; ValueError otherwise."""
    total = sum(aim.share for aim in aims)
    if total > 1 + 1e-9:
        raise ValueError(f"the shares of all aims must not exceed 1 together, got {total:g}")
    return aims


Aims = Annotated[tuple[Aim, ...], AfterValidator(check_shares)]


def choose_aim(aims: Sequence[Aim], rng: np.random.Generator) -> Aim | None:
    """The aim that one image follows: each with the probability of its share, else None."""
    if not aims:
        return None
    draw = rng.random()
    for aim in aims:
        draw -= aim.share
        if draw < 0:
            return aim
    return None


def aimed_label(aim: Aim | None, label: str, rng: np.random.Generator) -> str:
    """What the image shows: one of the aim's classes, each equally often, or `label` where the aim names none."""
    return aim.classes[int(rng.integers(len(aim.classes)))] if aim is not None and aim.classes else label


def aimed_draw(aim: Aim | None, rng: np.random.Generator) -> FactorDraw:
    """The image's factors, within the aim's ranges and words."""
    return FactorDraw(rng, aim.ranges, aim.words) if aim is not None else FactorDraw(rng)


def check_classes(aims: Sequence[Aim], classes: Collection[str]) -> None:
    """ConfigError when an aim names a class that cannot be shown."""
    strange = sorted({name for aim in aims for name in aim.classes} - set(classes))
    if strange:
        raise ConfigError(
            f"synthesis.aims: no pictures of {strange[:10]}, known classes: {sorted(classes)[:20]}; mend the aims in "
            "params.yaml, or let `detent aim --write` write them anew"
        )


def check_factors(aim: Aim | None, columns: Mapping[str, Any]) -> None:
    """ConfigError when an aim narrows a factor that is not among the `f_*` columns that an image was given."""
    if aim is None:
        return
    numbers = {name.removeprefix("f_") for name, value in columns.items() if not isinstance(value, str)}
    words = {name.removeprefix("f_") for name, value in columns.items() if isinstance(value, str)}
    strange = sorted((set(aim.ranges) - numbers) | (set(aim.words) - words))
    if strange:
        raise ConfigError(
            f"synthesis.aims: the generator draws no {strange}, it draws the numbers {sorted(numbers)} and the words "
            f"{sorted(words)}; mend the aims in params.yaml"
        )


def fits(aim: Aim, label: str, columns: Mapping[str, Any]) -> bool:
    """Whether an image of a class, with these `f_*` columns, lies where the aim points."""
    if aim.classes and label not in aim.classes:
        return False
    if any(columns.get(f"f_{name}") not in meant for name, meant in aim.words.items()):
        return False
    values = {name: columns.get(f"f_{name}") for name in aim.ranges}
    return all(
        value is not None and low <= float(value) <= high
        for value, (low, high) in zip(values.values(), aim.ranges.values(), strict=True)
    )
