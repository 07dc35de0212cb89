"""Draws a search's frontier: accuracy against negative flips, coloured by cost, with the champion and its reseed.

Before there is a champion nothing flips, and the picture is of accuracy over cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.errors import DataError
from components.core.files import atomic_path
from components.selection.search.frontier import Outcome, pareto_front

_WIDTH_IN, _HEIGHT_IN, _DPI = 7.5, 5.0, 150
_CHAMPION, _RESEED, _LIMIT = "#c0392b", "#7f8c8d", "#d68910"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One model in the picture: what it reached, what it costs, and a name where it is to be told apart."""

    outcome: Outcome
    cost: float
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """What the models are held against: the champion's accuracy, the flips of its reseeds, the limit on flips."""

    champion_accuracy: float
    reseed_flips: float | None = None
    flip_limit: float | None = None
    split: str = "search split"
    cost_name: str = "million multiply-adds"
    title: str = field(default="Accuracy against negative flips")


def draw_frontier(path: Path, spots: Sequence[Spot], landmarks: Landmarks) -> None:
    """Write a PNG; rates are drawn in percent. DataError when there is nothing to draw."""
    figure, axes = _paper(spots)
    flips = [100 * spot.outcome.flips for spot in spots]
    _draw_front(axes, spots, flips, pareto_front([spot.outcome for spot in spots]), label="no other is better in both")
    accuracy = [100 * spot.outcome.accuracy for spot in spots]
    costs = [spot.cost for spot in spots]
    dots = axes.scatter(flips, accuracy, c=costs, cmap="viridis", s=34, zorder=2, clip_on=False)
    _name_spots(axes, spots, flips)
    _draw_landmarks(axes, spots, landmarks)
    figure.colorbar(dots, ax=axes, label=landmarks.cost_name)
    axes.set_xlabel(f"negative flips, % of the {landmarks.split}")
    axes.set_title(landmarks.title, loc="left")
    _finish(path, figure, axes, split=landmarks.split)


def draw_costs(path: Path, spots: Sequence[Spot], *, title: str, split: str = "search split") -> None:
    """Write a PNG of accuracy, in percent, over cost in million multiply-adds. DataError when there is nothing to draw.

    For models that nothing is held against yet: their flips are not drawn.
    """
    figure, axes = _paper(spots)
    costs = [spot.cost for spot in spots]
    dearness = [Outcome(accuracy=spot.outcome.accuracy, flips=spot.cost) for spot in spots]  # cost in place of flips
    _draw_front(axes, spots, costs, pareto_front(dearness), label="no other is both cheaper and as accurate")
    axes.scatter(costs, [100 * spot.outcome.accuracy for spot in spots], s=34, zorder=2, clip_on=False)
    _name_spots(axes, spots, costs)
    axes.set_xlim(left=0)
    axes.set_xlabel("million multiply-adds")
    axes.set_title(title, loc="left")
    _finish(path, figure, axes, split=split)


def _paper(spots: Sequence[Spot]) -> tuple[Any, Any]:
    if not spots:
        raise DataError("there is no model to draw a frontier of; evaluate at least one")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _finish(path: Path, figure: Any, axes: Any, *, split: str) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(100.0, high))  # no margin beyond what an accuracy can be
    axes.set_ylabel(f"accuracy, % of the {split}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png")


def _draw_front(axes: Any, spots: Sequence[Spot], across: Sequence[float], front: Sequence[int], *, label: str) -> None:
    """The frontier as steps over `across`, a ring around each of its spots."""
    accuracy = [100 * spots[index].outcome.accuracy for index in front]
    places = [across[index] for index in front]
    axes.step(places, accuracy, where="post", color="black", linewidth=1, zorder=1, label="frontier")
    axes.scatter(
        places,
        accuracy,
        s=95,
        facecolors="none",
        edgecolors="black",
        linewidths=1.2,
        zorder=3,
        clip_on=False,
        label=label,
    )


def _name_spots(axes: Any, spots: Sequence[Spot], across: Sequence[float]) -> None:
    """A number at each named spot, in the order of names, which stand below: beside the spots they would overlap."""
    named = [(spot, place) for spot, place in zip(spots, across, strict=True) if spot.name]
    for number, (spot, place) in enumerate(sorted(named, key=lambda pair: pair[0].name), start=1):
        where = (place, 100 * spot.outcome.accuracy)
        beside = (6, -11 if spot.outcome.accuracy > 0.5 else 5)  # within the axes at 100% and at 0%
        axes.annotate(str(number), where, xytext=beside, textcoords="offset points", fontsize=8, fontweight="bold")
        axes.plot([], [], " ", marker=f"${number}$", color="black", markersize=7, label=spot.name)


def _draw_landmarks(axes: Any, spots: Sequence[Spot], landmarks: Landmarks) -> None:
    champion = 100 * landmarks.champion_accuracy
    axes.scatter(
        [0],
        [champion],
        marker="*",
        s=170,
        color=_CHAMPION,
        zorder=4,
        clip_on=False,
        label=f"champion, {champion:.1f}% right",
    )
    axes.axhline(champion, color=_CHAMPION, linewidth=0.8, linestyle=":")
    if landmarks.reseed_flips is not None:
        floor = 100 * landmarks.reseed_flips
        axes.axvline(floor, color=_RESEED, linestyle="--", label=f"a reseed of the champion flips {floor:.2f}%")
    if landmarks.flip_limit is not None:
        limit = 100 * landmarks.flip_limit
        axes.axvline(limit, color=_LIMIT, linestyle="-.", label=f"limit {limit:.2f}%")
    most = max([100 * spot.outcome.flips for spot in spots] + [100 * (landmarks.reseed_flips or 0.0)])
    axes.set_xlim(0, most * 1.08 + 0.1)
