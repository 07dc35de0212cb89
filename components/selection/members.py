"""Which samples a split holds, small enough to keep in a ledger: 8 bytes a sample, to find overlaps later.

Digests of ids, not ids: what a ledger keeps is enough to recognise a sample and not enough to look it up.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.digests import digest_bytes


@dataclass(frozen=True, eq=False)
class SplitMembers:
    """The samples of a split as sorted 64-bit digests of their ids."""

    codes: NDArray[np.uint64]

    @classmethod
    def of(cls, ids: Iterable[str]) -> SplitMembers:
        """The members with these ids; order and repetition do not matter."""
        joined = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in ids)
        return cls(np.unique(np.frombuffer(joined, dtype="<u8")))

    @classmethod
    def unpack(cls, text: str) -> SplitMembers:
        """Read back what `pack` wrote."""
        return cls(np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u8"))

    def pack(self) -> str:
        """The members as text for a JSON line."""
        return base64.b64encode(zlib.compress(self.codes.tobytes())).decode()

    @property
    def digest(self) -> str:
        """The digest of the set of ids."""
        return digest_bytes(self.codes.astype("<u8").tobytes())

    def num_shared(self, other: SplitMembers) -> int:
        """How many samples stand in both."""
        return int(np.intersect1d(self.codes, other.codes, assume_unique=True).size)

    def __len__(self) -> int:
        return int(self.codes.size)
