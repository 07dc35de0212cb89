"""Lays out the lot of pastes: in the order of places where the classes come in turn, those that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from components.synthesis.backgrounds import BACKGROUNDS
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.pasting import PasteSettings, PastingJob, words_drawn
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.pastes.surroundings import gather
from components.synthesis.runs.jobs import Lot, Order, fitting_aims
from components.synthesis.runs.work import Row

ROWS_PER_SHARD = 512


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


def lay_out(order: Order) -> Lot:
    """The lot of an order."""
    terms, cutouts = order.terms, order.stock.read(PICTURES).items
    settings = PasteSettings(pastes=terms.section("pastes", PastesConfig), camera=terms.camera, size_px=terms.size_px)
    places = _places(list(cutouts), order.counts)
    job = PastingJob(
        assets=gather(cutouts, order.stock.read(BACKGROUNDS).items, seed=terms.seed),
        settings=settings,
        stamp=order.stamp,
        num_images=places[-1] + 1,
        rows_per_shard=ROWS_PER_SHARD,
    )
    aims = fitting_aims(terms.aims, cutouts, lambda: job.row(0, 0), words_drawn(settings.pastes))
    aimed = replace(job, settings=replace(settings, aims=tuple(aims.values())))
    return Lot(
        title="Pasting images",
        job=Selected(job=aimed, places=places),
        num_shards=-(-len(places) // ROWS_PER_SHARD),
        num_images=len(places),
        aims=frozenset(aims),
    )


def _places(labels: Sequence[str], counts: Mapping[str, int]) -> tuple[int, ...]:
    """The places, where the classes come in turn, at which each class has its count: in order, none beyond."""
    rounds = max(counts[label] for label in labels)
    turns = ((turn, number, label) for turn in range(rounds) for number, label in enumerate(labels))
    return tuple(turn * len(labels) + number for turn, number, label in turns if turn < counts[label])
