"""Deals groups of samples out to train, search and certify, so that nothing leaks and nothing moves later.

A group's place is a hash of the seed and its key against fixed thresholds, so it depends on no other group; the
price is chance: a class of 30 groups gets 20% +- 7 points in certify. Only where chance leaves a split of a class
empty is it corrected, by the group that lies nearest; so every class with enough groups can be learned, watched and
judged. What has been dealt is not dealt again: the caller says which groups are `held`, and those stay where they
are whatever the seed, the shares and the corrections say. Without `held`, another seed or other shares deal all
anew, and a corrected group goes back once another lands in its split by itself. "Class" is whatever key the caller
balances by; without one all groups are of one class, and no split stays empty where there are three.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from components.core.errors import ConfigError
from components.core.manifest import Split

DEALT: tuple[Split, ...] = ("train", "search", "certify")
RESERVE: Split = "reserve"  # kept for a later certify split; nothing reads it


def assign_splits(
    groups: Sequence[str],
    balance: Sequence[str | None] | None,
    *,
    shares: Mapping[Split, float],
    seed: int,
    held: Mapping[str, Split] | None = None,
) -> list[Split]:
    """The split of each sample, given its group and the key to balance by; equal groups always get equal splits.

    `shares` of train, search and certify, and of reserve if there is to be one, add up to 1, each above 0
    (ConfigError otherwise). A group that holds several keys counts for its most frequent one; without `balance` all
    samples have one key. Groups in `held` keep the split that they have there.
    """
    _check_shares(shares)
    held = held or {}
    place = {group: _position(group, seed) for group in groups}
    split = {group: held.get(group) or _split_at(position, shares) for group, position in place.items()}
    keys = balance if balance is not None else [None] * len(groups)
    for members in _by_key(groups, keys).values():
        _fill_empty([group for group in members if split[group] != "replay"], place, split, shares=shares, held=held)
    return [split[group] for group in groups]


def _check_shares(shares: Mapping[Split, float]) -> None:
    given = {name: share for name, share in shares.items() if not (name == RESERVE and share == 0)}
    if set(given) - {RESERVE} != set(DEALT) or min(given.values()) <= 0 or abs(sum(given.values()) - 1) > 1e-6:
        raise ConfigError(
            f"split shares {dict(shares)}: needs {list(DEALT)}, each above 0, and maybe {RESERVE}, adding up to 1"
        )


def _position(group: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _split_at(position: float, shares: Mapping[Split, float]) -> Split:
    if position < shares["train"]:
        return "train"
    if position < shares["train"] + shares["search"]:
        return "search"
    return "certify" if position < 1 - shares.get(RESERVE, 0.0) else RESERVE


def _by_key(groups: Iterable[str], keys: Iterable[str | None]) -> dict[str, list[str]]:
    """The groups of each key, sorted."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, key in zip(groups, keys, strict=True):
        counts[group][key or ""] += 1
    members: dict[str, list[str]] = defaultdict(list)
    for group in sorted(counts):
        members[min(counts[group], key=lambda key: (-counts[group][key], key))].append(group)
    return members


def _fill_empty(
    members: list[str],
    place: Mapping[str, float],
    split: dict[str, Split],
    *,
    shares: Mapping[Split, float],
    held: Mapping[str, Split],
) -> None:
    """Give each split of a class with three groups or more at least one, from its fullest split that can spare one.

    Held groups are counted and never given.
    """
    if len(members) < len(DEALT):
        return
    edges = {"train": 0.0, "search": shares["train"], "certify": 1 - shares.get(RESERVE, 0.0)}
    for wanted in DEALT:
        counts = Counter(split[group] for group in members)
        free = {split[group] for group in members if group not in held}
        donors = [name for name in (*DEALT, RESERVE) if name in free and (counts[name] > 1 or name == RESERVE)]
        if not counts[wanted] and donors:
            donor = max(donors, key=lambda name: counts[name])
            givers = [group for group in members if split[group] == donor and group not in held]
            split[min(givers, key=lambda group: (abs(place[group] - edges[wanted]), group))] = wanted
