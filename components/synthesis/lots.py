"""Deals the images of a run out to its generators, and has each lay out its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from components.core.errors import ConfigError, DataError
from components.synthesis.generators import Generator
from components.synthesis.picture.aims import Aim
from components.synthesis.runs.jobs import Lot, Order
from components.synthesis.runs.terms import Terms
from components.synthesis.stock import Stock

Counts = dict[str, dict[str, int]]


def deal(stock: Stock, generators: Sequence[Generator]) -> Counts:
    """How many images of each class each generator makes, for those that make any.

    In their order they take their shares of what is left of a class that they can show, and the last takes the rest;
    those with a share of 0 come in only where no other can show it. DataError when nothing can be shown, or a class
    is left with nothing that can be used.
    """
    shown = {generator.name: stock.read(generator.subjects).items for generator in generators}
    classes = sorted({label for items in shown.values() for label in items})
    _require_all_classes(stock, classes)
    counts = {generator.name: dict.fromkeys(classes, 0) for generator in generators}
    for label in classes:
        able = [generator for generator in generators if label in shown[generator.name]]
        *first, last = [one for one in able if stock.terms.sections[one.name].share > 0] or able
        left = stock.terms.num_per_class
        for generator in first:
            counts[generator.name][label] = round(left * stock.terms.sections[generator.name].share)
            left -= counts[generator.name][label]
        counts[last.name][label] = left
    return {name: numbers for name, numbers in counts.items() if any(numbers.values())}


def make_lots(orders: Mapping[str, Order], generators: Sequence[Generator], terms: Terms) -> dict[str, Lot]:
    """The lot of each generator that has an order; ConfigError for an aim that none of them can follow."""
    lots = {one.name: one.lay_out(orders[one.name]) for one in generators if one.name in orders}
    followed = {number for lot in lots.values() for number in lot.aims}
    lost = [aim for number, aim in enumerate(terms.aims) if number not in followed]
    if lost:
        classes = sorted({label for order in orders.values() for label in order.counts})
        named = sorted(generators, key=attrgetter("name"))
        words = "; ".join(f"{sorted(generator.words)} in {generator.name}" for generator in named)
        raise ConfigError(
            f"synthesis.aims: no generator of this run shows {', '.join(lost[0].classes) or 'its classes'} with the "
            f"factors {_factors(lost[0])} all at once; classes are {classes[:20]}, words that can be aimed at are "
            f"those of {words}: mend the aims in params.yaml, or let `detent aim --write` write them anew"
        )
    return lots


def _require_all_classes(stock: Stock, usable: Sequence[str]) -> None:
    named = {asset.label for asset in stock.assets if asset.label is not None}
    if not named and not usable:
        raise DataError(
            f"the catalogue {stock.catalog} has no rows; give it at least one picture or model of each product"
            if stock.catalog is not None
            else "there is nothing to make images of: give a catalogue, or name a generator that needs none"
        )
    lost = sorted(named - set(usable))
    if lost:
        why = "; ".join(item.sentence for item in stock.doubtful if item.label in lost)
        raise DataError(f"no usable catalogue picture or model is left for {', '.join(lost)} ({why}); replace these")


def _factors(aim: Aim) -> list[str]:
    return sorted([*aim.ranges, *(f"{name} ({' or '.join(meant)})" for name, meant in aim.words.items())])
