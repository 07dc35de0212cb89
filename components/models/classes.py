"""Relates the classes of an old and a new model by name: what is kept, what is new, what was retired.

Class sets grow and shrink between releases. An old model's answers carry over for the classes that both know; it can
never be right about a class that it lacks, so no flip is counted there. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMatch:
    """For each new class its position in the old model (-1 where that lacks it), and which came and went."""

    old_of_new: tuple[int, ...]
    new_of_old: tuple[int, ...]
    added: tuple[str, ...]
    retired: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both have the same classes in the same order."""
        return not self.retired and self.old_of_new == tuple(range(len(self.old_of_new)))


def match_classes(old: Sequence[str], new: Sequence[str]) -> ClassMatch:
    """Match classes by name; DataError where names repeat or none is common."""
    for side, names in (("old", old), ("new", new)):
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(f"the {side} model names classes {repeated[:5]} twice; each class needs a name of its own")
    position = {name: index for index, name in enumerate(old)}
    place = {name: index for index, name in enumerate(new)}
    if not set(position) & set(place):
        raise DataError(
            f"the old and the new model share no class ({list(old[:3])} ... against {list(new[:3])} ...), so nothing "
            "of the old one's answers can be kept; check the class names, or train a plain candidate"
        )
    return ClassMatch(
        old_of_new=tuple(position.get(name, -1) for name in new),
        new_of_old=tuple(place.get(name, -1) for name in old),
        added=tuple(name for name in new if name not in position),
        retired=tuple(name for name in old if name not in place),
    )
