"""Draws a search's frontier: accuracy against negative flips, coloured by cost, with the champion and its reseed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.errors import DataError
from components.core.files import atomic_path
from components.selection.frontier import Outcome, pareto_front

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
    if not spots:
        raise DataError("there is no model to draw a frontier of; evaluate at least one")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    dots = _draw_spots(axes, spots)
    _draw_landmarks(axes, spots, landmarks)
    figure.colorbar(dots, ax=axes, label=landmarks.cost_name)
    axes.set_xlabel(f"negative flips, % of the {landmarks.split}")
    axes.set_ylabel(f"accuracy, % of the {landmarks.split}")
    axes.set_title(landmarks.title, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png")


def _draw_spots(axes: Any, spots: Sequence[Spot]) -> Any:
    flips = [100 * spot.outcome.flips for spot in spots]
    accuracy = [100 * spot.outcome.accuracy for spot in spots]
    front = pareto_front([spot.outcome for spot in spots])
    axes.step(
        [flips[index] for index in front],
        [accuracy[index] for index in front],
        where="post",
        color="black",
        linewidth=1,
        zorder=1,
        label="frontier",
    )
    dots = axes.scatter(flips, accuracy, c=[spot.cost for spot in spots], cmap="viridis", s=34, zorder=2)
    axes.scatter(
        [flips[index] for index in front],
        [accuracy[index] for index in front],
        s=95,
        facecolors="none",
        edgecolors="black",
        linewidths=1.2,
        zorder=3,
        label="no other is better in both",
    )
    _name_spots(axes, spots)
    return dots


def _name_spots(axes: Any, spots: Sequence[Spot]) -> None:
    """A number at each named spot, and the names below the picture: beside the spots they would cover one another."""
    for number, spot in enumerate((spot for spot in spots if spot.name), start=1):
        where = (100 * spot.outcome.flips, 100 * spot.outcome.accuracy)
        axes.annotate(str(number), where, xytext=(6, 5), textcoords="offset points", fontsize=8, fontweight="bold")
        axes.plot([], [], " ", marker=f"${number}$", color="black", markersize=7, label=spot.name)


def _draw_landmarks(axes: Any, spots: Sequence[Spot], landmarks: Landmarks) -> None:
    champion = 100 * landmarks.champion_accuracy
    axes.scatter(
        [0], [champion], marker="*", s=170, color=_CHAMPION, zorder=4, label=f"champion, {champion:.1f}% right"
    )
    axes.axhline(champion, color=_CHAMPION, linewidth=0.8, linestyle=":")
    if landmarks.reseed_flips is not None:
        floor = 100 * landmarks.reseed_flips
        axes.axvline(floor, color=_RESEED, linestyle="--", label=f"a reseed of the champion flips {floor:.2f}%")
    if landmarks.flip_limit is not None:
        limit = 100 * landmarks.flip_limit
        axes.axvline(limit, color=_LIMIT, linestyle="-.", label=f"limit {limit:.2f}%")
    most = max([100 * spot.outcome.flips for spot in spots] + [100 * (landmarks.reseed_flips or 0.0)])
    axes.set_xlim(-0.03 * most - 0.05, most * 1.08 + 0.1)
