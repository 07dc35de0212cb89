"""The memory of the split: every photo that was ever placed, with its group and where it is.

It only grows, and a photo in it only moves towards what has been seen: reserve, certify, replay, search, train. So
two memories can be merged in any order, and what was once in train or search is never certify again. A split called
replay is one that was shown and is left out of every other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.files import atomic_path
from components.core.manifest import Split
from components.datasets.duplicates import cluster
from components.datasets.fingerprints import NUM_BYTES

FILE = "placement.parquet"
MEMBERS = "members.parquet"  # the same of one validation, in its folder
EXPOSURE: tuple[Split, ...] = ("train", "search", "replay", "certify", "reserve")  # from most seen to never
SEEN: tuple[Split, ...] = ("train", "search", "replay")
Group = tuple[Split, str]  # where a group stands, and its key
_SEED = b"detent.split_seed"
_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("named", pa.string()),
        ("shows", pa.binary(NUM_BYTES)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One photo: its group's key and split, what the user called the group, and the code of what it shows."""

    sample_id: str
    group: str
    split: Split
    named: str | None = None
    shows: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Photos by sample id; `split_seed` is the seed that the last of them were dealt with."""

    photos: Mapping[str, Placed] = field(default_factory=dict)
    split_seed: int | None = None

    @property
    def has_retired(self) -> bool:
        """Whether some were certify and have been shown."""
        return any(photo.split == "replay" for photo in self.photos.values())

    def members(self, split: Split) -> list[str]:
        """The sample ids in a split, sorted."""
        return sorted(photo.sample_id for photo in self.photos.values() if photo.split == split)

    def splits(self) -> dict[str, Split]:
        """The split of each group."""
        return {photo.group: photo.split for photo in self.photos.values()}

    def groups_by_name(self) -> dict[str, set[str]]:
        """The groups by what the user called them, or calls them by their key."""
        found: dict[str, set[str]] = defaultdict(set)
        for photo in self.photos.values():
            found[photo.group].add(photo.group)
            if photo.named is not None:
                found[photo.named].add(photo.group)
        return found


def more_seen(groups: Iterable[Group]) -> Group:
    """Of groups the one whose place all take when they turn out to be one."""
    return min(groups, key=lambda group: (EXPOSURE.index(group[0]), group[1]))


def merge(*memories: Placement) -> Placement:
    """One memory of several: a photo or group that stands differently in two takes the place that is more seen.

    Groups that share a photo become one. The order does not matter, but for the seed, which is the last one's.
    """
    rows = [photo for memory in memories for photo in memory.photos.values()]
    first: dict[tuple[str, str], int] = {}
    tokens = (("id", "sample_id"), ("group", "group"))
    pairs = [
        (first.setdefault((kind, getattr(row, name)), index), index)
        for index, row in enumerate(rows)
        for kind, name in tokens
    ]
    roots = cluster(len(rows), pairs).tolist()
    parts: dict[int, set[Group]] = defaultdict(set)
    for root, row in zip(roots, rows, strict=True):
        parts[root].add((row.split, row.group))
    heads = {root: more_seen(found) for root, found in parts.items()}
    photos: dict[str, Placed] = {}
    for root, row in zip(roots, rows, strict=True):
        known, (split, group) = photos.get(row.sample_id, row), heads[root]
        photos[row.sample_id] = replace(
            row, group=group, split=split, named=row.named or known.named, shows=row.shows or known.shows
        )
    seeds = [memory.split_seed for memory in memories if memory.split_seed is not None]
    return Placement(photos=dict(sorted(photos.items())), split_seed=seeds[-1] if seeds else None)


def read_placement(folder: Path | None) -> Placement:
    """The memory in a folder; empty where there is none. DataError when it is damaged."""
    path = folder / FILE if folder is not None else None
    if path is None or not path.is_file():
        return Placement()
    return read_members(path)


def write_placement(folder: Path, placement: Placement) -> None:
    """Write the memory to a folder, atomically; equal memories give equal bytes."""
    write_members(folder / FILE, placement)


def read_members(path: Path) -> Placement:
    """The photos of one table; DataError names what is wrong with it."""
    remedy = "restore it with `dvc checkout`, or from a colleague with `dvc pull`; the split hangs on it"
    try:
        table = pq.read_table(path)
        rows = table.select(_SCHEMA.names).cast(_SCHEMA).to_pylist()
        seed = (table.schema.metadata or {}).get(_SEED)
        split_seed = int(seed) if seed is not None else None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is no memory of a split ({error}); {remedy}") from error
    fault = _fault(rows)
    if fault:
        raise DataError(f"{path}: {fault}; {remedy}")
    return Placement(photos={row["sample_id"]: Placed(**row) for row in rows}, split_seed=split_seed)


def write_members(path: Path, placement: Placement) -> None:
    """Write the photos as one table, in the order of their ids."""
    photos = sorted(placement.photos.values(), key=lambda photo: photo.sample_id)
    arrays = [
        pa.array([getattr(photo, name) for photo in photos], type=_SCHEMA.field(name).type) for name in _SCHEMA.names
    ]
    seed = {} if placement.split_seed is None else {_SEED: str(placement.split_seed).encode()}
    with atomic_path(path) as partial:
        pq.write_table(pa.table(arrays, schema=_SCHEMA.with_metadata(seed)), partial, compression="zstd")


def _fault(rows: Sequence[Mapping[str, Any]]) -> str:
    splits: dict[str, str] = {}
    for row in rows:
        if not row["sample_id"] or not row["group"] or row["split"] not in get_args(Split):
            return f"{row} is no placed photo, which has an id, a group and a split of {list(get_args(Split))}"
        if splits.setdefault(row["group"], row["split"]) != row["split"]:
            return f"group {row['group']} stands in {splits[row['group']]} and in {row['split']}"
    if len({row["sample_id"] for row in rows}) < len(rows):
        return "a photo stands there twice"
    return ""
