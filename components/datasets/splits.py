"""Deals groups of samples out to train, search and certify, so that nothing leaks and nothing moves later.

A group's place is a hash of the seed and its key against fixed thresholds. It depends on no other group, so
adding photos moves none that is there already: what a champion was trained on cannot turn up in certify. The
price is chance: a class of 30 groups gets 20% +- 7 points in certify. Only where chance leaves a split of a
class empty is it corrected, by the group that lies nearest; so every class with enough groups can be learned,
watched and judged. That stand-in comes from train while the class is small (at its third group, usually), and
goes back when another group lands in the split by itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from components.core.errors import ConfigError
from components.core.manifest import Split

DEALT: tuple[Split, ...] = ("train", "search", "certify")


def assign_splits(
    groups: Sequence[str], labels: Sequence[str | None], *, shares: Mapping[Split, float], seed: int
) -> list[Split]:
    """The split of each sample, given its group and label; equal groups always get equal splits.

    `shares` of train, search and certify add up to 1, each above 0 (ConfigError otherwise). A group that
    holds several labels counts for its most frequent one.
    """
    _check_shares(shares)
    place = {group: _position(group, seed) for group in groups}
    split = {group: _split_at(position, shares) for group, position in place.items()}
    for members in _by_label(groups, labels).values():
        _fill_empty(members, place, split, shares)
    return [split[group] for group in groups]


def _check_shares(shares: Mapping[Split, float]) -> None:
    if set(shares) != set(DEALT) or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"split shares {dict(shares)}: needs {list(DEALT)}, each above 0, adding up to 1")


def _position(group: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _split_at(position: float, shares: Mapping[Split, float]) -> Split:
    if position < shares["train"]:
        return "train"
    return "search" if position < shares["train"] + shares["search"] else "certify"


def _by_label(groups: Iterable[str], labels: Iterable[str | None]) -> dict[str, list[str]]:
    """The groups of each label, sorted."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        counts[group][label or ""] += 1
    members: dict[str, list[str]] = defaultdict(list)
    for group in sorted(counts):
        members[min(counts[group], key=lambda label: (-counts[group][label], label))].append(group)
    return members


def _fill_empty(
    members: list[str], place: Mapping[str, float], split: dict[str, Split], shares: Mapping[Split, float]
) -> None:
    """Give each split of a class with three groups or more at least one, from its fullest split."""
    if len(members) < len(DEALT):
        return
    edges = {"train": 0.0, "search": shares["train"], "certify": 1.0}
    for wanted in DEALT:
        held = Counter(split[group] for group in members)
        if not held[wanted]:
            donor = max(DEALT, key=lambda name: held[name])
            givers = [group for group in members if split[group] == donor]
            split[min(givers, key=lambda group: (abs(place[group] - edges[wanted]), group))] = wanted
