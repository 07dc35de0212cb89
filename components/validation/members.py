"""Where photos stand, as values for the memory: of what validation has just found, and of a split from before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from components.core.manifest import Split
from components.datasets.fingerprints import fingerprint, to_bytes
from components.validation.facts import Facts, measure
from components.validation.frames import PhotoFindings
from components.validation.placement import Placed, Placement, merge


def members_of(findings: PhotoFindings, *, split_seed: int) -> Placement:
    """The usable photos as validation has placed them."""
    rows = [(fact, group, split) for fact, group, split in findings.placed() if split is not None]
    return _placement(rows, split_seed)


def members_before_memory(photos: Path) -> Placement:
    """The split in `photos`, train/ search/ and certify/, of a validation that did not write members yet."""
    folders = [photos / split for split in get_args(Split) if (photos / split).is_dir()]
    facts = [(fact, folder.name) for folder in folders for fact in measure(folder, "photo")]
    rows = [(replace(fact, group=None), fact.group or fact.sample_id, split) for fact, split in facts]
    return merge(_placement(rows, None))


def _placement(rows: list[tuple[Facts, str, str]], split_seed: int | None) -> Placement:
    codes = to_bytes(fingerprint(np.stack([fact.thumbnail for fact, _, _ in rows]))) if rows else []
    photos = {
        fact.sample_id: Placed(
            sample_id=fact.sample_id, group=group, split=cast(Split, split), named=fact.group, shows=shows
        )
        for (fact, group, split), shows in zip(rows, codes, strict=True)
    }
    return Placement(photos=photos, split_seed=split_seed)
