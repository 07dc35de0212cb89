"""Makes training images: reads the stock, deals the images out to the generators, and fills the shards of each.

Shards are pure functions of (recipe, seed, shard number), and every row of (recipe, seed, shard, index), so that a
killed run goes on and any image can be made again (`provenance.py`). The recipe names every asset by its digest.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core.digests import digest_json
from components.core.settings import Settings
from components.synthesis.config import SynthesisConfig
from components.synthesis.generators import Generator, find_generator
from components.synthesis.lots import deal, make_lots
from components.synthesis.pastes.stock import draw_doubtful
from components.synthesis.runs.jobs import Lot, Order
from components.synthesis.runs.machine import made_with
from components.synthesis.runs.rows import Stamp
from components.synthesis.runs.shards import fill_shards, is_filled
from components.synthesis.stock import Doubtful, Stock

GENERATOR, VERSION = "detent.synthesis", 2
DOUBTS = "doubts.png"
_NAMED = 3  # of several assets with one fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisSummary:
    """What a run made: images by generator and classes, from which assets, how fast (0 when nothing was left to do).

    `recipe` is the digest of recipe.json, `doubts_path` a sheet of the catalogue pictures to look at, if any.
    """

    num_images: int
    num_classes: int
    num_by_generator: dict[str, int]
    num_by_role: dict[str, int]
    num_shards_made: int
    num_views_traced: int
    images_per_s: float
    recipe: str
    doubtful: tuple[Doubtful, ...]
    doubts_path: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The summary as a JSON value, for reports."""
        return asdict(self) | {"doubts_path": self.doubts_path.name if self.doubts_path is not None else None}

    @property
    def findings(self) -> dict[str, str]:
        """What to know of assets that are doubtful or left out: a line each, or one for all with the same reason."""
        alike: dict[tuple[bool, str, str], list[Doubtful]] = defaultdict(list)
        for item in self.doubtful:
            alike[item.used, item.role, item.reason].append(item)
        return dict(_finding(items) for items in alike.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run before anything is made: its full recipe, the digest of that, its stock, and lots by generator."""

    recipe: dict[str, Any]
    digest: str
    stock: Stock
    num_classes: int
    lots: dict[str, Lot]


def synthesise(
    catalog: Path | None,
    backgrounds: Path | None,
    config: SynthesisConfig,
    *,
    out: Path,
    seed: int,
    code: str = "",
    cache: Path | None = None,
) -> SynthesisSummary:
    """Fill the manifest folder `out` with `config.num_per_class` images of each class that generators can show.

    `catalog` and `backgrounds` are manifest folders; without backgrounds, drawn rooms and shelves serve, and without
    a catalogue only generators that need none have anything to show. `cache` keeps traced views, below DETENT_HOME
    unless given. `code` is the digest of the code that makes them: shards of another are made anew, and no drawn
    number depends on it. Assets that cannot be used are listed in the summary;
    DataError when the catalogue is empty or a class is left with none. Work goes on where a killed run stopped.
    """
    plan = plan_synthesis(catalog, backgrounds, config, seed=seed, code=code, cache=cache)
    made, traced, elapsed_s, share = 0, 0, 0.0, 0.0
    for name, lot in plan.lots.items():
        if not is_filled(out, plan.recipe, prefix=name, num_shards=lot.num_shards):
            traced += lot.prepare()
        started = time.perf_counter()
        done = fill_shards(out, lot.job, recipe=plan.recipe, num_shards=lot.num_shards, title=lot.title, prefix=name)
        elapsed_s += time.perf_counter() - started
        made, share = made + done, share + lot.num_images * done / lot.num_shards
    return SynthesisSummary(
        num_images=sum(lot.num_images for lot in plan.lots.values()),
        num_classes=plan.num_classes,
        num_by_generator={name: lot.num_images for name, lot in plan.lots.items()},
        num_by_role=dict(Counter(asset.role for asset in plan.stock.assets if asset.used)),
        num_shards_made=made,
        num_views_traced=traced,
        images_per_s=share / elapsed_s if made else 0.0,
        recipe=plan.digest,
        doubtful=plan.stock.doubtful,
        doubts_path=draw_doubtful(catalog, plan.stock.doubtful, out / DOUBTS) if catalog is not None else None,
    )


def plan_synthesis(
    catalog: Path | None,
    backgrounds: Path | None,
    config: SynthesisConfig,
    *,
    seed: int,
    code: str = "",
    cache: Path | None = None,
) -> Plan:
    """Read the assets and lay out what a run would make; the same arguments give the same recipe and jobs."""
    config = _in_order(config)
    stock = Stock(catalog=catalog, backgrounds=backgrounds, terms=config.terms(seed))
    generators = [find_generator(name) for name in config.generators]
    counts = deal(stock, generators)
    making = [generator for generator in generators if generator.name in counts]
    for source in (source for generator in making for source in generator.sources):
        stock.read(source)
    recipe = {
        "generator": GENERATOR,
        "version": VERSION,
        "generators": {generator.name: generator.version for generator in making},
        "code": code,
        "seed": seed,
        "config": config.model_dump(mode="json"),
        "assets": [asdict(asset) for asset in stock.assets],
        "made_with": _made_with(making),
    }
    digest = digest_json(recipe)
    folder = cache if cache is not None else Settings().home.resolve() / "cache"
    orders = {
        generator.name: Order(
            counts=counts[generator.name],
            stock=stock,
            terms=stock.terms,
            stamp=Stamp(generator=f"detent.{generator.name}", version=generator.version, seed=seed, recipe=digest),
            cache=folder,
        )
        for generator in making
    }
    classes = {label for numbers in counts.values() for label in numbers}
    lots = make_lots(orders, generators, stock.terms)
    return Plan(recipe=recipe, digest=digest, stock=stock, num_classes=len(classes), lots=lots)


def _made_with(generators: Sequence[Generator]) -> dict[str, str]:
    found = made_with()
    for generator in generators:
        found |= generator.made_with()
    return found


def _finding(items: list[Doubtful]) -> tuple[str, str]:
    """The title and the sentence of a line about assets that have the same reason."""
    first, more = items[0], len(items) - 1
    title = f"{'doubtful' if first.used else 'left out'} {first.sample_id[:12]}"
    if not more:
        return title, first.sentence
    named = [item.name for item in items[:_NAMED]]
    rest = [f"{len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return f"{title} and {more} more", f"{', '.join([*named, *rest])}: {first.reason}"


def _in_order(config: SynthesisConfig) -> SynthesisConfig:
    """The settings with their keys sorted, as recipe.json has them: what is drawn may follow the order of a table."""
    return SynthesisConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"), sort_keys=True)))
