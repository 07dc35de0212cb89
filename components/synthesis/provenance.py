"""Makes any synthetic image again from its row, bit for bit, or says what has changed since it was made.

A row's `recipe` names its generator, the digest of the full recipe and its place; recipe.json beside the shards is
the full recipe, with the digest of every asset. Bits are the same on the same kind of processor (`machine.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.digests import SAMPLE_ID_LENGTH, digest_json, sample_id
from components.core.errors import DataError, IntegrityError
from components.core.files import read_json
from components.core.params import parse_section
from components.datasets.meshes import read_models
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import Plan, plan_synthesis
from components.synthesis.lots import RowJob
from components.synthesis.renders.framing import Geometry
from components.synthesis.renders.rendering import RenderingJob
from components.synthesis.runs.machine import differences
from components.synthesis.runs.shards import RECIPE
from components.synthesis.stock import panorama_id

_SHORTEST_PREFIX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run's assets lie: the manifest folders that it was made from, and the cache of traced views."""

    catalog: Path
    backgrounds: Path | None
    cache: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row stands: its id, the shard's file, what its recipe says, and its digest."""

    sample_id: str
    shard: Path
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaker:
    """A run that was opened to make images of it again; make it with `Remaker.open`.

    `recipe` and its `digest` are those that the images were made by, `plan` is what they lead to now.
    """

    folder: Path
    recipe: Mapping[str, Any]
    digest: str
    plan: Plan
    jobs: Mapping[str, RowJob]

    @classmethod
    def open(cls, folder: Path, origin: Origin) -> Remaker:
        """Read the recipe of the manifest at `folder` and the assets that it names.

        IntegrityError names the assets that are gone, new or no longer have their digests. DataError when the
        folder has no recipe.
        """
        recipe = read_recipe(folder)
        _check_assets(recipe, origin)
        config = parse_section(SynthesisConfig, recipe["config"], where=f"{folder / RECIPE}: config")
        plan = plan_synthesis(origin.catalog, origin.backgrounds, config, seed=recipe["seed"], cache=origin.cache)
        if plan.recipe["assets"] != recipe["assets"]:
            raise IntegrityError(
                f"the assets of {folder} are there, but other ones count as usable now; check out the code that made it"
            )
        jobs: dict[str, RowJob] = {}
        for lot in plan.lots:
            jobs[lot.generator] = lot.lone if lot.lone is not None else lot.job
        return cls(folder=folder, recipe=recipe, digest=digest_json(recipe), plan=plan, jobs=jobs)

    def remake(self, sample: str) -> bytes:
        """The encoded image of a sample, by its id or the beginning of it, made again alone.

        DataError for an id that is not there; IntegrityError when the image comes out otherwise, with the reason
        as far as it is known.
        """
        place = find_row(self.folder, sample)
        job = self._job(place)
        row = job.row(place.recipe["shard"], place.recipe["index"])
        data: bytes = row["image"]["bytes"]
        if sample_id(data) == place.sample_id:
            return data
        now = json.loads(row["recipe"])
        kept = ("generator", "version")
        code = {name: f"{place.recipe[name]}" for name in kept}, {name: f"{now[name]}" for name in kept}
        changed = differences(self.recipe["made_with"], self.plan.recipe["made_with"]) + differences(*code)
        why = "; ".join(changed) or "the code has changed since"
        raise IntegrityError(
            f"sample {place.sample_id} was not made again: other bytes came out ({why}); use what it was made with"
        )

    def geometry(self, place: Place) -> Geometry | None:
        """The mask, depth and normals of a render or wrap; None for a paste, which is flat.

        IntegrityError for a row of another recipe, DataError for one that no generator of this run has made.
        """
        job = self._job(place)
        if not isinstance(job, RenderingJob):
            return None
        return job.geometry(place.recipe["shard"], place.recipe["index"])

    @property
    def farthest_m(self) -> float:
        """No surface of any render lies farther from its camera; 0 without renders."""
        jobs = [job for job in self.jobs.values() if isinstance(job, RenderingJob)]
        sizes = {(view.view.distance_m, view.subject.size_m) for job in jobs for view in job.views}
        return max((distance_m + math.hypot(*size_m) / 2 for distance_m, size_m in sizes), default=0.0)

    def _job(self, place: Place) -> RowJob:
        if place.recipe.get("recipe") != self.digest:
            raise IntegrityError(
                f"the row of {place.sample_id} names another recipe than {self.folder / RECIPE}; restore both"
            )
        job = self.jobs.get(place.shard.name.rpartition("-")[0])
        if job is None:
            raise DataError(f"{place.shard} is no shard of pastes, renders or wraps, so its rows cannot be made again")
        return job


def remake(sample: str, folder: Path, origin: Origin) -> bytes:
    """The encoded image of one sample of the manifest at `folder`, made again; errors as those of Remaker."""
    return Remaker.open(folder, origin).remake(sample)


def read_recipe(folder: Path) -> dict[str, Any]:
    """The full recipe of a manifest of synthetic images; DataError when there is none."""
    path = folder / RECIPE
    if not path.is_file():
        raise DataError(f"{path} is missing, so nobody knows how its images were made; run the synthesis stage")
    recipe = read_json(path)
    missing = [name for name in ("seed", "config", "assets", "made_with") if name not in recipe]
    if missing:
        raise DataError(f"{path} lacks {missing}: it is not of this synthesis stage, or of an older one; run it anew")
    return recipe


def find_row(folder: Path, sample: str) -> Place:
    """The row of a sample, by its id or at least 8 digits of its beginning; DataError unless it is exactly one."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not _SHORTEST_PREFIX <= len(sample) <= SAMPLE_ID_LENGTH:
        raise DataError(f"{sample!r} is no sample id: give {_SHORTEST_PREFIX} to {SAMPLE_ID_LENGTH} of its hex digits")
    found = []
    for path in manifest.shards(folder):
        rows = pq.read_table(path, columns=["sample_id", "recipe"])
        for row in rows.filter(pc.starts_with(rows["sample_id"], sample)).to_pylist():
            found.append(Place(sample_id=row["sample_id"], shard=path, recipe=json.loads(row["recipe"])))
    if len({place.sample_id for place in found}) != 1:
        text = f"{len(found)} samples begin so, give more digits" if found else "contact sheets and manifests show ids"
        raise DataError(f"{sample} is no sample of {folder}: {text}")
    return found[0]


def _check_assets(recipe: Mapping[str, Any], origin: Origin) -> None:
    """Compare what lies in the manifests, hashed afresh, with what the recipe names."""
    recorded = {asset["sample_id"]: asset for asset in recipe["assets"]}
    drawn = {name for name, asset in recorded.items() if asset["role"] == "background" and asset["name"] != "photo"}
    present = {panorama_id(asset["name"]) for asset in recorded.values() if asset["role"] == "panorama"}
    for named, data in _contents(origin):
        digest = sample_id(data)
        present.add(digest)
        if digest != named:
            raise IntegrityError(f"asset {named} has the digest {digest} now: its bytes were changed; restore them")
    gone = [asset for name, asset in recorded.items() if name not in present and name not in drawn]
    if gone:
        first = ", ".join(f"{asset['role']} {asset['sample_id']} ({asset['name']})" for asset in gone[:3])
        raise IntegrityError(f"{len(gone)} assets of the recipe are gone: {first}; check out the data of then with DVC")
    new = present - set(recorded)
    if new:
        raise IntegrityError(
            f"{len(new)} assets are there that the recipe does not name, such as {sorted(new)[:3]}, so other choices "
            "would be drawn; check out the data of then with DVC"
        )


def _contents(origin: Origin) -> Iterator[tuple[str, bytes]]:
    folders = [origin.catalog, *([origin.backgrounds] if origin.backgrounds is not None else [])]
    for folder in folders:
        for batch in manifest.stream(folder, ["sample_id", "image"], batch_rows=64):
            for row in batch.to_pylist():
                yield row["sample_id"], row["image"]["bytes"]
    for model in read_models(origin.catalog):
        yield model.sample_id, model.data
