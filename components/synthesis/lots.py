"""Deals the images of a run out to its generators: how many pastes, renders and wraps of which class.

A lot is one generator's part: a job that makes any of its rows alone, and how many shards it fills. Aims go to every
generator that can show their classes and draws their factors; an aim that no generator can follow is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from components.core.errors import ConfigError
from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.pasting import PasteSettings, PastingJob, words_drawn
from components.synthesis.pastes.surroundings import gather
from components.synthesis.picture.aims import WORD_FACTORS, Aim
from components.synthesis.runs.work import Row
from components.synthesis.stock import Stock

Generator = Literal["pastes", "renders", "wraps"]
ROWS_PER_SHARD = 512


class RowJob(Protocol):
    """A generator's job: shards of rows, and any row alone, with the same bytes."""

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard."""
        ...

    def row(self, shard: int, index: int) -> Row:
        """The row whose recipe names this place."""
        ...


def nothing_to_prepare() -> int:
    """What most lots have to do before their first shard."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One generator's part of a run; its shards are called after it.

    `prepare` does what the shards need, tracing views for example, and returns how many it did. Rows made alone
    come from `lone`, where there is one, which does so row by row. `aims` are the numbers of those it follows.
    """

    generator: Generator
    title: str
    job: RowJob
    num_shards: int
    num_images: int
    aims: frozenset[int] = frozenset()
    prepare: Callable[[], int] = nothing_to_prepare
    lone: RowJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many images of one class each generator makes."""

    pastes: int
    renders: int
    wraps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What all lots of a run share; `recipe` is the digest of the full recipe, `cache` keeps traced views."""

    stock: Stock
    config: SynthesisConfig
    seed: int
    recipe: str
    cache: Path


def deal(stock: Stock, config: SynthesisConfig) -> dict[str, Quota]:
    """The quota of each class: renders where it has models, wraps where asked for, pastes for the rest."""
    quotas = {}
    for label in stock.classes:
        pictured, solid = label in stock.cutouts, label in stock.solids
        share = (config.render_share if pictured else 1.0) if solid else 0.0
        renders = round(config.num_per_class * share)
        wraps = round((config.num_per_class - renders) * config.wrap_share)
        quotas[label] = Quota(pastes=config.num_per_class - renders - wraps, renders=renders, wraps=wraps)
    return quotas


def make_lots(order: Order) -> list[Lot]:
    """The lots that have anything to make; ConfigError for an aim that none of them can follow."""
    quotas = deal(order.stock, order.config)
    lots = []
    if any(quota.pastes for quota in quotas.values()):
        lots.append(_paste_lot(order, {label: quota.pastes for label, quota in quotas.items()}))
    if any(quota.renders or quota.wraps for quota in quotas.values()):
        from components.synthesis.solids import solid_lots  # Mitsuba and trimesh, for those who need them

        lots += solid_lots(order, quotas)
    followed = {number for lot in lots for number in lot.aims}
    lost = [aim for number, aim in enumerate(order.config.aims) if number not in followed]
    if lost:
        words = "; ".join(f"{sorted(names)} in {source}s" for source, names in WORD_FACTORS.items())
        raise ConfigError(
            f"synthesis.aims: no generator of this run shows {', '.join(lost[0].classes) or 'its classes'} with the "
            f"factors {_factors(lost[0])} all at once; classes are {order.stock.classes[:20]}, words that can be aimed "
            f"at are those of {words}: mend the aims in params.yaml, or let `detent aim --write` write them anew"
        )
    return lots


def _factors(aim: Aim) -> list[str]:
    return sorted([*aim.ranges, *(f"{name} ({' or '.join(meant)})" for name, meant in aim.words.items())])


def fitting_aims(
    aims: Sequence[Aim],
    classes: Collection[str],
    example: Callable[[], Row],
    words: Mapping[str, Collection[str]] | None = None,
) -> dict[int, Aim]:
    """The aims, by number, that a generator can follow: at those of its classes that they name, with its factors.

    `example` makes any of the generator's rows without aims; it is called only if an aim names ranges. `words` are
    those that each factor in words can be narrowed to; an aim must mean one of them.
    """
    found, known = {}, words or {}
    row = example() if any(aim.ranges for aim in aims) else {}
    drawn = {name.removeprefix("f_") for name, value in row.items() if not isinstance(value, str)}
    for number, aim in enumerate(aims):
        shown = tuple(name for name in aim.classes if name in classes)
        worded = all(set(meant) & set(known.get(name, ())) for name, meant in aim.words.items())
        if worded and drawn.issuperset(aim.ranges) and (shown or not aim.classes):
            found[number] = aim.model_copy(update={"classes": shown})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Some places of the endless rows of pastes, shard by shard; a row keeps the recipe of its own place."""

    job: PastingJob
    places: tuple[int, ...]

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard; none beyond the last."""
        size = self.job.rows_per_shard
        return [self.row(*divmod(place, size)) for place in self.places[shard * size : (shard + 1) * size]]

    def row(self, shard: int, index: int) -> Row:
        """The row whose recipe names this place."""
        return self.job.row(shard, index)


def _paste_lot(order: Order, quotas: Mapping[str, int]) -> Lot:
    stock, config = order.stock, order.config
    settings = PasteSettings(pastes=config.pastes, camera=config.camera, size_px=config.size_px)
    places = _places(list(stock.cutouts), quotas)
    job = PastingJob(
        assets=gather(stock.cutouts, stock.backgrounds, seed=order.seed),
        settings=settings,
        seed=order.seed,
        recipe=order.recipe,
        num_images=places[-1] + 1,
        rows_per_shard=ROWS_PER_SHARD,
    )
    aims = fitting_aims(config.aims, stock.cutouts, lambda: job.row(0, 0), words_drawn(config.pastes))
    aimed = replace(job, settings=replace(settings, aims=tuple(aims.values())))
    return Lot(
        generator="pastes",
        title="Pasting images",
        job=Selected(job=aimed, places=places),
        num_shards=-(-len(places) // ROWS_PER_SHARD),
        num_images=len(places),
        aims=frozenset(aims),
    )


def _places(labels: Sequence[str], quotas: Mapping[str, int]) -> tuple[int, ...]:
    """The places, where the classes come in turn, at which each class has its quota: in order, none beyond."""
    rounds = max(quotas[label] for label in labels)
    turns = ((turn, number, label) for turn in range(rounds) for number, label in enumerate(labels))
    return tuple(turn * len(labels) + number for turn, number, label in turns if turn < quotas[label])
