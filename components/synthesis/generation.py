"""Makes training images from a catalogue: pastes of its pictures, renders of its models, wraps of one on the other.

Shards are pure functions of (recipe, seed, shard number), and every row of (recipe, seed, shard, index), so that a
killed run goes on and any image can be made again (`provenance.py`). The recipe names every asset by its digest.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core.digests import digest_json
from components.core.settings import Settings
from components.synthesis.config import SynthesisConfig
from components.synthesis.lots import Lot, Order, make_lots
from components.synthesis.pastes.cutouts import draw_doubts
from components.synthesis.pastes.doubts import DoubtfulCutout
from components.synthesis.runs.machine import made_with
from components.synthesis.runs.shards import fill_shards, is_filled
from components.synthesis.stock import Doubtful, Stock, picture_rows, read_stock

GENERATOR, VERSION = "detent.synthesis", 1
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
    """A run before anything is made: its full recipe, the digest of that, what it is made from, and its lots."""

    recipe: dict[str, Any]
    digest: str
    stock: Stock
    lots: tuple[Lot, ...]


def synthesise(
    catalog: Path,
    backgrounds: Path | None,
    config: SynthesisConfig,
    *,
    out: Path,
    seed: int,
    code: str = "",
    cache: Path | None = None,
) -> SynthesisSummary:
    """Fill the manifest folder `out` with `config.num_per_class` images of each class of the catalogue.

    `catalog` and `backgrounds` are manifest folders; without backgrounds, drawn rooms and shelves serve. `cache`
    keeps traced views, below DETENT_HOME unless given. `code` is the digest of the code that makes them: shards of
    another are made anew, and no drawn number depends on it. Assets that cannot be used are listed in the summary;
    DataError when the catalogue is empty or a class is left with none. Work goes on where a killed run stopped.
    """
    plan = plan_synthesis(catalog, backgrounds, config, seed=seed, code=code, cache=cache)
    made, traced, elapsed_s, share = 0, 0, 0.0, 0.0
    for lot in plan.lots:
        if not is_filled(out, plan.recipe, prefix=lot.generator, num_shards=lot.num_shards):
            traced += lot.prepare()
        started = time.perf_counter()
        done = fill_shards(
            out, lot.job, recipe=plan.recipe, num_shards=lot.num_shards, title=lot.title, prefix=lot.generator
        )
        elapsed_s += time.perf_counter() - started
        made, share = made + done, share + lot.num_images * done / lot.num_shards
    return SynthesisSummary(
        num_images=sum(lot.num_images for lot in plan.lots),
        num_classes=len(plan.stock.classes),
        num_by_generator={lot.generator: lot.num_images for lot in plan.lots},
        num_by_role=dict(Counter(asset.role for asset in plan.stock.assets if asset.used)),
        num_shards_made=made,
        num_views_traced=traced,
        images_per_s=share / elapsed_s if made else 0.0,
        recipe=plan.digest,
        doubtful=plan.stock.doubtful,
        doubts_path=_draw_doubts(plan.stock.doubtful, catalog, out),
    )


def plan_synthesis(
    catalog: Path,
    backgrounds: Path | None,
    config: SynthesisConfig,
    *,
    seed: int,
    code: str = "",
    cache: Path | None = None,
) -> Plan:
    """Read the assets and lay out what a run would make; the same arguments give the same recipe and jobs."""
    config = _in_order(config)
    stock = read_stock(catalog, backgrounds, config, seed=seed)
    recipe = {
        "generator": GENERATOR,
        "version": VERSION,
        "code": code,
        "seed": seed,
        "config": config.model_dump(mode="json"),
        "assets": [asdict(asset) for asset in stock.assets],
        "made_with": made_with(traces=bool(stock.solids) or config.wrap_share > 0),
    }
    digest = digest_json(recipe)
    folder = (cache if cache is not None else Settings().home.resolve() / "cache") / "transfers"
    order = Order(stock=stock, config=config, seed=seed, recipe=digest, cache=folder)
    return Plan(recipe=recipe, digest=digest, stock=stock, lots=tuple(make_lots(order)))


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


def _draw_doubts(doubtful: tuple[Doubtful, ...], catalog: Path, out: Path) -> Path | None:
    pictures = [item for item in doubtful if item.role == "picture"]
    if not pictures:
        (out / DOUBTS).unlink(missing_ok=True)
        return None
    items = [
        DoubtfulCutout(sample_id=item.sample_id, label=str(item.label), reason=item.reason, used=item.used)
        for item in pictures
    ]
    return draw_doubts(picture_rows(catalog, [item.sample_id for item in items]), items, out / DOUBTS)
