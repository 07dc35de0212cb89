"""Keeps transfers in a folder, each under the digest of what it was made from, and traces those that are missing.

A transfer is one safetensors file: float16 arrays, and in its header the view and the sha256 of the arrays. It is
written atomically; a file that was cut short or altered is noticed when it is read, and traced again on demand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import IntegrityError, StateError
from components.core.files import write_bytes
from components.core.progress import track
from components.synthesis.light.lobes import NUM_LIGHTS
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.models import Model
from components.synthesis.renders.tracing import trace_views, transfer_digest
from components.synthesis.renders.transfers import Tracing, Transfer, View

_ARRAYS = ("pixels", "response", "alpha", "depth", "normals", "ground_pixels", "ground", "open_ground")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStore:
    """Transfers by key, in files below `folder`; several processes may read and fill it at once."""

    folder: Path

    def get_or_trace(self, model: Model, view: View, tracing: Tracing, *, backend: Backend | None = None) -> Transfer:
        """The transfer of a view, traced and kept if it is not there or damaged."""
        (key,) = self.fill(model, [view], tracing, backend=backend)
        return self.load(key)

    def fill(
        self, model: Model, views: Sequence[View], tracing: Tracing, *, backend: Backend | None = None
    ) -> list[str]:
        """Trace those of a model's views that are missing or damaged; returns the key of each view, in order."""
        backend = backend or choose_backend()
        keys = [transfer_digest(model, view, tracing, backend=backend) for view in views]
        wanted = {key: view for key, view in zip(keys, views, strict=True) if not self.holds(key)}
        traced = trace_views(model, list(wanted.values()), tracing, backend=backend)
        for transfer in track(traced, f"Tracing {model.name}", total=len(wanted)):
            self.save(transfer)
        return keys

    def holds(self, key: str) -> bool:
        """Whether an undamaged transfer of that key is there."""
        try:
            self.load(key)
        except (StateError, IntegrityError):
            return False
        return True

    def load(self, key: str) -> Transfer:
        """The transfer of a key; StateError if it was never traced, IntegrityError if its file is damaged."""
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise StateError(f"the transfer {key} is not in {self.folder}; trace its view first") from error
        return _decoded(data, key, path)

    def save(self, transfer: Transfer) -> Path:
        """Write a transfer under its digest, atomically."""
        path = self.path(transfer.digest)
        write_bytes(path, _encoded(transfer))
        return path

    def stream(self, keys: Sequence[str]) -> Iterator[Transfer]:
        """Transfers one by one, so that only one is in memory."""
        return (self.load(key) for key in keys)

    def path(self, key: str) -> Path:
        """Where the transfer of a key lies."""
        return self.folder / key[:2] / f"{key}.safetensors"


def _encoded(transfer: Transfer) -> bytes:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(getattr(transfer, name)) for name in _ARRAYS}
    made = {
        "digest": transfer.digest,
        "size_px": transfer.size_px,
        "view": asdict(transfer.view),
        "height_m": transfer.height_m,
    }
    # one entry, as the library writes several in any order
    head = json.dumps({"made": made, "content": _content(arrays, made)}, sort_keys=True)
    return bytes(save(arrays, metadata={"transfer": head}))


def _decoded(data: bytes, key: str, path: Path) -> Transfer:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(data[:8], "little")
        head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["transfer"])
        made, arrays = head["made"], load(data)
        view = View(**made["view"])
        intact = head["content"] == _content(arrays, made) and made["digest"] == key
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise IntegrityError(f"{path} is no transfer ({error}); delete it, and it is traced again") from error
    size = made["size_px"]
    if not intact or arrays["alpha"].shape != (size, size) or arrays["response"].shape[1:] != (NUM_LIGHTS, 3):
        raise IntegrityError(f"{path} was altered since it was traced; delete it, and it is traced again")
    return Transfer(view=view, size_px=size, height_m=made["height_m"], digest=key, **arrays)


def _content(arrays: Mapping[str, NDArray[Any]], made: Mapping[str, Any]) -> str:
    hashed = hashlib.sha256(json.dumps(made, sort_keys=True).encode())
    for name in _ARRAYS:
        array = arrays[name]
        hashed.update(f"{name} {array.dtype.str} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).view(np.uint8).data)
    return hashed.hexdigest()
