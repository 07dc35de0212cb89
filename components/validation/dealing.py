"""Gives groups their key and split: those that the memory knows keep theirs, only wholly new ones are dealt out.

A photo belongs to a remembered group by its id or a parent's, by the name that the user gave the group, or by
showing what a photo showed that is no longer there. Groups that turn out to be one take the key and the split of
the part that has been seen most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.manifest import Split
from components.datasets.fingerprints import find_same, fingerprint, from_bytes
from components.datasets.splits import assign_splits
from components.validation.config import ValidationConfig
from components.validation.facts import Facts
from components.validation.placement import SEEN, Group, Placement, more_seen

Key = Callable[[Facts], str | None]  # what photos are balanced by, or held out by


def label_of(photo: Facts) -> str | None:
    """A photo's label."""
    return photo.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """Group key and split of each photo; `refused` are the positions of those given to certify that were seen."""

    groups: list[str]
    splits: list[str | None]
    refused: Mapping[int, Split]


def tokens(fact: Facts) -> list[str]:
    """What a photo shares with those derived from the same content: its own id and its parents'."""
    return [fact.sample_id, *fact.parents]


def recall(photos: Sequence[Facts], memory: Placement) -> list[set[Group]]:
    """The remembered groups that each photo belongs to."""
    if not memory.photos:
        return [set() for _ in photos]
    named, splits = memory.groups_by_name(), memory.splits()
    found = [{memory.photos[token].group for token in tokens(fact) if token in memory.photos} for fact in photos]
    for index, fact in enumerate(photos):
        found[index] |= named.get(fact.group, set()) if fact.group is not None else set()
    for index, key in _shown_before(photos, memory):
        found[index].add(key)
    return [{(splits[key], key) for key in keys} for keys in found]


def recalled_pairs(recalled: Sequence[set[Group]]) -> npt.NDArray[np.int64]:
    """Pairs [M, 2] that link the photos of one remembered group."""
    first: dict[Group, int] = {}
    pairs = [(first.setdefault(group, index), index) for index, groups in enumerate(recalled) for group in groups]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def deal(
    photos: Sequence[Facts],
    linked: npt.NDArray[np.int64],
    keys: Sequence[str],
    *,
    recalled: Sequence[set[Group]],
    config: ValidationConfig,
    balance: Key | None,
) -> Dealt:
    """Place photos that are `linked` (roots [N]) and whose groups would have `keys` if they were new.

    Each value of `balance` comes into every split, as far as there are groups enough; without, nothing is balanced. A
    user's own splits are left as they are, but that what was seen is not taken into certify.
    """
    roots = linked.tolist()
    known: dict[int, set[Group]] = defaultdict(set)
    for root, found in zip(roots, recalled, strict=True):
        known[root] |= found
    heads = {root: more_seen(found) for root, found in known.items() if found}
    groups = [heads[root][1] if root in heads else key for root, key in zip(roots, keys, strict=True)]
    if any(fact.split is not None for fact in photos):
        refused = _seen_before(photos, roots, heads)
        return Dealt(
            groups=groups,
            splits=[refused.get(index, fact.split) for index, fact in enumerate(photos)],
            refused=refused,
        )
    held = {group: split for split, group in heads.values()}
    balanced = [balance(fact) for fact in photos] if balance is not None else None
    dealt = assign_splits(groups, balanced, shares=config.shares.by_split(), seed=config.split_seed, held=held)
    return Dealt(groups=groups, splits=list(dealt), refused={})


def _shown_before(photos: Sequence[Facts], memory: Placement) -> list[tuple[int, str]]:
    """Unknown photos with the group of a photo, known but not here, that showed the same: a copy stored anew."""
    here = {fact.sample_id for fact in photos}
    gone = [photo for photo in memory.photos.values() if photo.shows is not None and photo.sample_id not in here]
    new = [index for index, fact in enumerate(photos) if fact.sample_id not in memory.photos]
    if not gone or not new:
        return []
    codes = fingerprint(np.stack([photos[index].thumbnail for index in new]))
    pairs = find_same(codes, from_bytes([photo.shows or b"" for photo in gone]))
    return [(new[left], gone[right].group) for left, right in pairs.tolist()]


def _seen_before(photos: Sequence[Facts], roots: Sequence[int], heads: Mapping[int, Group]) -> dict[int, Split]:
    """The photos of groups given to certify as a whole that were seen, with where; a torn group is V019's to find."""
    given: dict[int, set[str | None]] = defaultdict(set)
    for fact, root in zip(photos, roots, strict=True):
        given[root].add(fact.split)
    return {
        index: heads[root][0]
        for index, root in enumerate(roots)
        if root in heads and heads[root][0] in SEEN and given[root] == {"certify"}
    }
