"""Retires a certify split and makes the next one of photos that no split has held; pure functions of the memory.

Everything goes by groups: a photo that is a copy of, or belongs to, what was in train, search or the retired split
stays out of the new one, and so does all that was ever shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from components.core.manifest import Split
from components.validation.placement import Placed, Placement, merge

Destination = Literal["train", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """The memory as it becomes, who leaves certify for `to` and who comes in; sample ids sorted.

    `num_left_out` photos have not been placed yet and cannot come in, as they belong to what a split has held.
    """

    placement: Placement
    to: Destination
    retired: tuple[str, ...]
    certify: tuple[str, ...]
    num_from_reserve: int
    num_new: int
    num_left_out: int


def retire(
    placement: Placement, present: Sequence[Placed], *, to: Destination, is_own_split: bool = False
) -> Retirement:
    """Move certify to `to`, and the reserve and every photo whose group was never placed to certify.

    `present` are the usable photos with the group and split that validation would give them now. Where the user
    gives the splits, a new photo must be given to certify. `certify` counts those that are present.
    """
    known = Placement(photos={photo.sample_id: photo for photo in present if photo.sample_id in placement.photos})
    memory = merge(placement, known)
    splits = memory.splits()
    new = [photo for photo in present if photo.sample_id not in memory.photos]
    fresh = [photo for photo in new if splits.get(photo.group, "reserve") == "reserve"]
    if is_own_split:
        fresh = [photo for photo in fresh if photo.split == "certify"]
    waiting = [name for name in known.photos if memory.photos[name].split == "reserve"]
    moves: dict[Split, Split] = {"certify": to, "reserve": "certify"}
    photos = {name: replace(photo, split=moves.get(photo.split, photo.split)) for name, photo in memory.photos.items()}
    photos |= {photo.sample_id: replace(photo, split="certify") for photo in fresh}
    return Retirement(
        placement=Placement(photos=dict(sorted(photos.items())), split_seed=memory.split_seed),
        to=to,
        retired=tuple(memory.members("certify")),
        certify=tuple(sorted([*waiting, *(photo.sample_id for photo in fresh)])),
        num_from_reserve=len(waiting),
        num_new=len(fresh),
        num_left_out=len(new) - len(fresh),
    )


def set_aside(placement: Placement, shown: Collection[str]) -> Placement:
    """Take the groups of certify samples that were shown out of every split."""
    gone = {photo.group for photo in placement.photos.values() if photo.sample_id in shown}
    photos = {
        name: replace(photo, split="replay") if photo.group in gone and photo.split == "certify" else photo
        for name, photo in placement.photos.items()
    }
    return replace(placement, photos=photos)
