"""Makes any synthetic image again from its row, bit for bit, or says what has changed since it was made.

A row's `recipe` names its generator, the digest of the full recipe and its place; recipe.json beside the shards is
the full recipe, with the digest of every asset. Bits are the same on the same kind of processor (`machine.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.digests import SAMPLE_ID_LENGTH, digest_json, sample_id
from components.core.errors import DataError, IntegrityError
from components.core.files import read_json
from components.core.params import parse_section
from components.synthesis.config import SynthesisConfig, with_moved
from components.synthesis.generation import Plan, plan_synthesis
from components.synthesis.generators import find_generator
from components.synthesis.picture.geometry import Geometry
from components.synthesis.runs.jobs import Lot
from components.synthesis.runs.machine import differences
from components.synthesis.runs.shards import RECIPE
from components.synthesis.stock import Stock

_SHORTEST_PREFIX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run's assets lie: the manifest folders that it was made from, and the cache of traced views."""

    catalog: Path | None
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

    @classmethod
    def open(cls, folder: Path, origin: Origin) -> Remaker:
        """Read the recipe of the manifest at `folder` and the assets that it names.

        IntegrityError names the assets that are gone, new or no longer have their digests. DataError when the
        folder has no recipe.
        """
        stored = read_recipe(folder)
        digest, recipe = digest_json(stored), _as_written_now(stored)
        config = parse_section(SynthesisConfig, recipe["config"], where=f"{folder / RECIPE}: config")
        _check_assets(recipe["assets"], config, origin, seed=recipe["seed"])
        plan = plan_synthesis(origin.catalog, origin.backgrounds, config, seed=recipe["seed"], cache=origin.cache)
        if plan.recipe["assets"] != recipe["assets"]:
            raise IntegrityError(
                f"the assets of {folder} are there, but other ones count as usable now; check out the code that made it"
            )
        return cls(folder=folder, recipe=recipe, digest=digest, plan=plan)

    def remake(self, sample: str) -> bytes:
        """The encoded image of a sample, by its id or the beginning of it, made again alone.

        DataError for an id that is not there; IntegrityError when its generator is of another version now, or the
        image comes out otherwise, with the reason as far as it is known.
        """
        place = find_row(self.folder, sample)
        lot = self._lot(place)
        job = lot.lone if lot.lone is not None else lot.job
        data: bytes = job.row(place.recipe["shard"], place.recipe["index"])["image"]["bytes"]
        if sample_id(data) == place.sample_id:
            return data
        changed = differences(self.recipe["made_with"], self.plan.recipe["made_with"])
        why = "; ".join(changed) or "the code has changed since"
        raise IntegrityError(
            f"sample {place.sample_id} was not made again: other bytes came out ({why}); use what it was made with"
        )

    def geometry(self, place: Place) -> Geometry | None:
        """The mask, depth and normals of an image; None where its generator knows no depth, as of flat pastes.

        IntegrityError for a row of another recipe or version, DataError for one that no generator of this run made.
        """
        lot = self._lot(place)
        return lot.geometry(place.recipe["shard"], place.recipe["index"]) if lot.geometry is not None else None

    @property
    def farthest_m(self) -> float:
        """No surface of any image with depth lies farther from its camera; 0 where there are none."""
        return max(lot.farthest_m for lot in self.plan.lots.values())

    def _lot(self, place: Place) -> Lot:
        """The lot that a row is of, where it would come out of it as it did."""
        if place.recipe.get("recipe") != self.digest:
            raise IntegrityError(
                f"the row of {place.sample_id} names another recipe than {self.folder / RECIPE}; restore both"
            )
        name = place.shard.name.rpartition("-")[0]
        lot = self.plan.lots.get(name)
        if lot is None:
            raise DataError(
                f"{place.shard} is no shard of {' or '.join(self.plan.lots)}, so its rows cannot be made again"
            )
        then, now = place.recipe["version"], self.plan.recipe["generators"][name]
        if then != now:
            raise IntegrityError(
                f"sample {place.sample_id} was made by version {then} of {name}, and this is version {now}, which "
                "makes other images; check out the code that made it, or run the synthesis stage anew"
            )
        return lot


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


def _as_written_now(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recipe of before generators were a list, as it would be written now; a newer one as it is."""
    if "generators" in recipe:
        return recipe
    assets = [
        {**asset, "drawn": asset["role"] == "background" and asset["name"] != "photo"} for asset in recipe["assets"]
    ]
    return {**recipe, "config": with_moved(recipe["config"]), "assets": assets}


def _check_assets(assets: Sequence[Mapping[str, Any]], config: SynthesisConfig, origin: Origin, *, seed: int) -> None:
    """Compare what lies in the manifests, hashed afresh, with what the recipe names."""
    recorded = {asset["sample_id"]: asset for asset in assets}
    roles = {asset["role"] for asset in assets}
    stock = Stock(catalog=origin.catalog, backgrounds=origin.backgrounds, terms=config.terms(seed))
    sources = dict.fromkeys(source for name in config.generators for source in find_generator(name).sources)
    present = set()
    for named, data in (item for source in sources if source.role in roles for item in source.stored(stock)):
        digest = sample_id(data)
        present.add(digest)
        if digest != named:
            raise IntegrityError(f"asset {named} has the digest {digest} now: its bytes were changed; restore them")
    gone = [asset for name, asset in recorded.items() if name not in present and not asset["drawn"]]
    if gone:
        first = ", ".join(f"{asset['role']} {asset['sample_id']} ({asset['name']})" for asset in gone[:3])
        raise IntegrityError(f"{len(gone)} assets of the recipe are gone: {first}; check out the data of then with DVC")
    new = present - set(recorded)
    if new:
        raise IntegrityError(
            f"{len(new)} assets are there that the recipe does not name, such as {sorted(new)[:3]}, so other choices "
            "would be drawn; check out the data of then with DVC"
        )
