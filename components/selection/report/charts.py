"""Draws the report's charts as inline SVG: the frontier of accuracy and flips, and confidence histograms.

Text in them comes from tables that anybody may have written, so every word is escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 270, 68, 18, 18, 46
_NUM_BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """One candidate in the frontier; the champion has no flips."""

    name: str
    flips: float
    accuracy: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a histogram: scores and the CSS class that colours it."""

    name: str
    css: str
    scores: NDArray[np.float32]


def frontier(points: Sequence[ChartPoint], lines: Sequence[tuple[str, str, float]]) -> Markup:
    """Accuracy over negative-flip rate; `lines` are (name, CSS class, rate) drawn upright: limit, noise floor."""
    top_x = max([point.flips for point in points] + [rate for _, _, rate in lines]) * 1.15 or 0.01
    low, high = _padded([point.accuracy for point in points])

    def x(rate: float) -> float:
        return _LEFT + rate / top_x * (_WIDTH - _LEFT - _RIGHT)

    def y(accuracy: float) -> float:
        return _TOP + (high - accuracy) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_axes("negative flips", "accuracy", (0.0, top_x), (low, high))]
    for index, (name, css, rate) in enumerate(lines):
        parts.append(
            _svg(
                '<line class="mark {}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>',
                css,
                x(rate),
                x(rate),
                _TOP,
                _HEIGHT - _BOTTOM,
            )
        )
        parts.append(
            _svg('<text class="mark {}" x="{:.1f}" y="{}">{}</text>', css, x(rate) + 4, _TOP + 12 + 14 * index, name)
        )
    for point in points:
        at = x(point.flips), y(point.accuracy)
        end = at[0] > _WIDTH * 0.7
        parts.append(
            _svg(
                '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="6">'
                "<title>{}: {:.2%} flips, {:.2%} right</title></circle>",
                point.kind,
                *at,
                point.name,
                point.flips,
                point.accuracy,
            )
        )
        parts.append(
            _svg(
                '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>',
                at[0] + (-10 if end else 10),
                at[1] + 4,
                "end" if end else "start",
                point.name[:24],
            )
        )
    return _figure(parts, "Accuracy over negative flips of all candidates")


def histogram(series: Sequence[Series], title: str) -> Markup:
    """The share of each series per bin of confidence, as stepped lines on one scale."""
    scores = np.concatenate([part.scores for part in series])
    low, high = float(scores.min()), float(scores.max())
    low, high = (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high if high > low else low + 1.0)
    edges = np.linspace(low, high, _NUM_BINS + 1)
    shares = [np.histogram(part.scores, edges)[0] / max(len(part.scores), 1) for part in series]
    top = max(float(share.max()) for share in shares) * 1.1 or 1.0
    parts = [_axes("confidence", "share", (low, high), (0.0, top), percent_x=False)]
    for part, share in zip(series, shares, strict=True):
        parts.append(
            _svg(
                '<polyline class="hist {}" points="{}"><title>{}</title></polyline>',
                part.css,
                _steps(share, top),
                part.name,
            )
        )
    for index, part in enumerate(series):
        where = _TOP + 12 + 16 * index
        parts.append(
            _svg(
                '<text class="key {}" x="{}" y="{}" text-anchor="middle">{} ({})</text>',
                part.css,
                _WIDTH // 2,
                where,
                part.name,
                len(part.scores),
            )
        )
    return _figure(parts, title)


def interval(rate: float, lower: float, upper: float, limit: float, css: str) -> Markup:
    """A bar from lower to upper bound with the estimate and the limit, on a scale of twice the limit."""
    top = max(2 * limit, upper * 1.05)
    low, high, at, edge = (100 * value / top for value in (lower, upper, rate, limit))
    template = (
        '<svg class="bar {}" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{:.2%} to {:.2%}">'
        '<rect class="track" x="0" y="4" width="100" height="2"/><rect class="range" x="{:.2f}" y="2" width="{:.2f}" '
        'height="6"/><rect class="point" x="{:.2f}" y="1" width="1" height="8"/><rect class="limit" x="{:.2f}" y="0" '
        'width="0.8" height="10"/></svg>'
    )
    return _svg(template, css, lower, upper, low, max(high - low, 0.5), at, edge)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = max((high - low) * 0.25, 0.005)
    return low - pad, high + pad


def _steps(share: NDArray[np.float64], top: float) -> str:
    width = (_WIDTH - _LEFT - _RIGHT) / len(share)
    corners = []
    for index, value in enumerate(share.tolist()):
        y = _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)
        corners += [f"{_LEFT + index * width:.1f},{y:.1f}", f"{_LEFT + (index + 1) * width:.1f},{y:.1f}"]
    return " ".join(corners)


def _axes(
    x_name: str, y_name: str, x_range: tuple[float, float], y_range: tuple[float, float], *, percent_x: bool = True
) -> Markup:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [_svg('<path class="axis" d="M{} {} V{} H{}"/>', _LEFT, _TOP, bottom, right)]
    for step in range(5):
        share = step / 4
        x, y = _LEFT + share * (right - _LEFT), bottom - share * (bottom - _TOP)
        value_x = x_range[0] + share * (x_range[1] - x_range[0])
        value_y = y_range[0] + share * (y_range[1] - y_range[0])
        label = f"{value_x:.1%}" if percent_x else f"{value_x:.2f}"
        parts.append(_svg('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>', x, bottom + 16, label))
        parts.append(
            _svg('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:.1%}</text>', _LEFT - 6, y + 4, value_y)
        )
        parts.append(_svg('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>', _LEFT, right, y, y))
    parts.append(
        _svg(
            '<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>', (_LEFT + right) // 2, _HEIGHT - 6, x_name
        )
    )
    parts.append(
        _svg(
            '<text class="name" transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text>',
            (_TOP + bottom) // 2,
            y_name,
        )
    )
    return Markup("").join(parts)


def _figure(parts: Sequence[Markup], title: str) -> Markup:
    head = _svg('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">', _WIDTH, _HEIGHT, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _svg(template: str, *values: object) -> Markup:
    safe = [value if isinstance(value, int | float) else str(escape(str(value))) for value in values]
    return Markup(template.format(*safe))
