"""Which samples a split holds, small enough to keep in a ledger: to recognise them later, whatever they are called.

A sample is known by its id (8 bytes of its digest) and, where its picture was seen, by what the picture shows (a
fingerprint of 32 bytes that survives re-encoding, see datasets/fingerprints.py). Enough to recognise a sample,
and not enough to look it up.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from components.core.digests import digest_bytes
from components.datasets.fingerprints import find_same

_WORDS = 4  # of 64 bits, in a fingerprint
_CODE_BYTES = 8
Codes = NDArray[np.uint64]


def _no_shows() -> Codes:
    return np.zeros((0, _WORDS), np.uint64)


@dataclass(frozen=True, eq=False)
class SplitMembers:
    """Samples as sorted 64-bit digests of their ids, and the fingerprints of those whose pictures are known."""

    codes: Codes
    shows: Codes = field(default_factory=_no_shows)

    @classmethod
    def of(cls, ids: Iterable[str], shows: Mapping[str, bytes] | None = None) -> SplitMembers:
        """The members with these ids; order and repetition do not matter. `shows`: 32 bytes by id, where known."""
        names = list(ids)
        seen = sorted({shows[name] for name in names if name in shows}) if shows else []
        return cls(np.unique(codes_of(names)), np.frombuffer(b"".join(seen), dtype="<u8").reshape(-1, _WORDS))

    @classmethod
    def unpack(cls, text: str, shows: str = "") -> SplitMembers:
        """Read back what `pack` and `pack_shows` wrote."""
        return cls(_unpack(text), _unpack(shows).reshape(-1, _WORDS) if shows else _no_shows())

    @classmethod
    def union(cls, parts: Iterable[SplitMembers]) -> SplitMembers:
        """The samples of any of the parts."""
        found = list(parts)
        if not found:
            return cls(np.zeros(0, np.uint64))
        shows = np.concatenate([part.shows for part in found])
        return cls(np.unique(np.concatenate([part.codes for part in found])), np.unique(shows, axis=0))

    def pack(self) -> str:
        """The ids' codes as text for a row."""
        return _pack(self.codes)

    def pack_shows(self) -> str:
        """The fingerprints as text for a row; empty where there are none."""
        return _pack(self.shows) if len(self.shows) else ""

    @property
    def digest(self) -> str:
        """The digest of the set of ids."""
        return digest_bytes(self.codes.astype("<u8").tobytes())

    def num_shared(self, other: SplitMembers) -> int:
        """How many samples stand in both: by id, or more where more pictures than that show the same."""
        by_id = int(np.intersect1d(self.codes, other.codes, assume_unique=True).size)
        if by_id == len(self) or not len(self.shows) or not len(other.shows):
            return by_id
        return max(by_id, len(np.unique(find_same(self.shows, other.shows)[:, 0])))

    def without(self, other: SplitMembers) -> SplitMembers:
        """The ids that `other` lacks, and their fingerprints as far as `other` lacks those."""
        known = set(map(bytes, other.shows))
        shows = [row for row in self.shows if bytes(row) not in known]
        codes = np.setdiff1d(self.codes, other.codes, assume_unique=True)
        return SplitMembers(codes, np.array(shows, np.uint64).reshape(-1, _WORDS))

    def __len__(self) -> int:
        return int(self.codes.size)


def codes_of(ids: Iterable[str]) -> Codes:
    """The 64-bit digests of ids, in their order."""
    joined = b"".join(hashlib.sha256(name.encode()).digest()[:_CODE_BYTES] for name in ids)
    return np.frombuffer(joined, dtype="<u8")


def recognised(ids: list[str], shows: Mapping[str, bytes] | None, known: SplitMembers) -> NDArray[np.bool_]:
    """Which of the samples `known` holds, by id or by what their pictures show: bool [len(ids)]."""
    found = np.isin(codes_of(ids), known.codes)
    where = [index for index, name in enumerate(ids) if shows and not found[index] and name in shows]
    if where and len(known.shows) and shows:
        mine = np.frombuffer(b"".join(shows[ids[index]] for index in where), dtype="<u8").reshape(-1, _WORDS)
        same = np.unique(find_same(mine, known.shows)[:, 0])
        found[np.array(where)[same]] = True
    return found


def _pack(values: Codes) -> str:
    return base64.b64encode(zlib.compress(values.astype("<u8").tobytes())).decode()


def _unpack(text: str) -> Codes:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u8")
