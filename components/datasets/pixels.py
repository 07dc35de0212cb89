"""Keeps a manifest's images as one memory-mapped array, decoded once and shared by every epoch and process.

The cache file is named by the digest of (ids in order, size, code of the decoder), so it is never stale; a lock lets
one process decode while others wait, and what a killed process left behind is swept by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
import pyarrow as pa

from components.core import manifest
from components.core.closures import code_digest
from components.core.digests import digest_json
from components.core.errors import DataError
from components.core.files import atomic_path, storage_errors
from components.core.progress import track
from components.datasets import decoding
from components.datasets.decoding import Pixels, decode_fit

_NUM_THREADS = 4
_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelStore:
    """The images of one manifest, in its order: `pixels` uint8 [N, size_px, size_px, 3], read-only.

    `table` holds the other columns, images and masks left out; row i of everything is the same sample.
    """

    pixels: Pixels
    table: pa.Table

    @classmethod
    def open(cls, folder: Path, *, size_px: int, cache: Path) -> PixelStore:
        """Decode the manifest at `folder` into `cache`, or map what lies there already.

        DataError names the first image that cannot be decoded: validation is what takes those out.
        """
        kept = [name for name in manifest.dataset(folder).schema.names if name not in ("image", "mask", "objects")]
        table = manifest.read(folder, kept)
        return cls(pixels=_pixels(folder, table["sample_id"].to_pylist(), size_px=size_px, cache=cache), table=table)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def sample_ids(self) -> list[str]:
        """The ids, in the order of `pixels`."""
        return list(self.table["sample_id"].to_pylist())

    @property
    def labels(self) -> list[str | None]:
        """The class names, in the order of `pixels`; None where a sample has no label."""
        return list(self.table["label"].to_pylist())

    def label_indices(self, classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Each label's position in `classes`, int64 [N]; DataError names labels that are not among them."""
        position = {name: index for index, name in enumerate(classes)}
        strange = sorted({str(label) for label in self.labels if label not in position})
        if strange:
            raise DataError(f"labels {strange[:5]} ({len(strange)} in all) are not among the {len(classes)} classes")
        return np.array([position[str(label)] for label in self.labels], dtype=np.int64)


def _pixels(folder: Path, ids: list[str], *, size_px: int, cache: Path) -> Pixels:
    from filelock import FileLock

    if not ids:
        return np.zeros((0, size_px, size_px, 3), dtype=np.uint8)
    decoder = code_digest([decoding.__name__], frozenset({"components"}))
    name = digest_json([ids, size_px, decoder, PIL.__version__])[:32]
    path = cache / f"{name}.npy"
    with storage_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.lock"):
            if not path.exists():
                for leftover in cache.glob(f".{path.name}.*.partial"):
                    leftover.unlink(missing_ok=True)
                _decode_all(folder, path, shape=(len(ids), size_px, size_px, 3))
    return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def _decode_all(folder: Path, path: Path, *, shape: tuple[int, int, int, int]) -> None:
    with atomic_path(path) as partial, ThreadPoolExecutor(_NUM_THREADS) as pool:
        pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        start = 0
        batches = track(_encoded_batches(folder), "decoding images", total=-(-shape[0] // _BATCH_ROWS))
        for batch in batches:
            decoded = pool.map(lambda item: decode_fit(item[1], shape[1], name=item[0]), batch)
            for index, image in enumerate(decoded, start=start):
                pixels[index] = image
            start += len(batch)
        pixels.flush()


def _encoded_batches(folder: Path) -> Iterator[list[tuple[str, bytes]]]:
    for batch in manifest.stream(folder, ["sample_id", "image"], batch_rows=_BATCH_ROWS):
        images, ids = batch.column("image").to_pylist(), batch.column("sample_id").to_pylist()
        yield [(image["path"] or key, image["bytes"]) for image, key in zip(images, ids, strict=True)]
