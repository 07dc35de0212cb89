"""Composes one paste: background, what lies behind, the product's copies, and what covers them.

A composition is a function of the assets, the configuration and the factors' random generator, nothing else.
The mask is what is left of the product in the picture, occlusion and frame included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from components.synthesis.backgrounds import Background
from components.synthesis.pastes.arrangement import Layout, arrange
from components.synthesis.pastes.backdrops import BEHIND, Behind, cut_backdrop
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.harmony import harmonise
from components.synthesis.pastes.layers import Look, Sprite, amount, amount_hidden, lay
from components.synthesis.pastes.occluders import (
    MARGIN,
    OCCLUDER_SHARES,
    OCCLUDERS,
    Occluder,
    Target,
    draw_bar,
    draw_hand,
    draw_shelf_edge,
    draw_tag,
    draw_wall,
    grip,
)
from components.synthesis.pastes.owners import Owners
from components.synthesis.pastes.surroundings import (
    Assets,
    crop_ground,
    darken,
    draw_copies,
    draw_line,
    draw_other,
    scatter,
)
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.picture.pictures import Pixels

_MOST_HIDDEN = 0.6  # an occluder that would hide more of the product than this is left out
_TRIES, _NEAR = 6, 0.08  # places tried for an occluder, and how near to the drawn share is near enough
_SIXTEENTHS = ((np.arange(256) * 15 + 127) // 255 * 17).astype(np.uint8)  # masks of few steps encode twice as fast
_FALLOFF = 0.25
_AMPLE = 1.3  # area of an occluder by what it is to hide, for it seldom lies on the product as a whole
_METERED, _METERED_SHARE = 112.0, 0.65  # what a phone aims at, and how far it goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A scene before it is photographed: RGB (S, S, 3) and mask (S, S) uint8, its cut-out and background.

    `owners` tell all products in it apart, where that is asked for.
    """

    rgb: Pixels
    mask: Pixels
    cutout: Cutout
    background: Background
    owners: Owners | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What every step of one composition needs."""

    assets: Assets
    config: PastesConfig
    factors: FactorDraw
    cutout: Cutout
    layout: Layout
    look: Look
    owners: Owners | None


def compose(assets: Assets, config: PastesConfig, label: str, *, size_px: int, factors: FactorDraw) -> Composition:
    """Compose one paste of a class, a frame of `size_px` pixels; what was drawn becomes factor columns."""
    rng, choices = factors.rng, assets.cutouts[label]
    cutout = choices[int(rng.integers(len(choices)))]
    layout = arrange(config, cutout, factors)
    look = _draw_look(config, size_px, factors)
    behind = _draw_behind(config, layout, factors)
    canvas, number, owners = _cut_ground(assets, behind, label, size_px=size_px, rng=rng, owned=config.objects)
    factors.note("background", assets.backgrounds[number].kind)
    strength = factors.uniform("harmonise", 0.0, config.harmonise)
    scales = [variant.scale * size_px for variant in layout.variants]
    fitted = harmonise(cutout, canvas, strength, sides_px=(min(scales), max(scales)))
    scene = _Scene(
        assets=assets, config=config, factors=factors, cutout=fitted, layout=layout, look=look, owners=owners
    )
    _prepare(scene, canvas, behind)
    gripped = _lay_product(scene, canvas)
    covered = _cover(scene, canvas)
    occlusion = 1 - (1 - gripped) * (1 - covered)
    factors.note("occlusion", occlusion)
    factors.note("visible", _visible(scene, canvas, occlusion))
    rgb = _metered(cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB))
    mask = np.asarray(cv2.LUT(cv2.extractChannel(canvas, 3), _SIXTEENTHS))
    return Composition(rgb=rgb, mask=mask, cutout=cutout, background=assets.backgrounds[number], owners=owners)


def _draw_look(config: PastesConfig, size_px: int, factors: FactorDraw) -> Look:
    """Light and edges that all copies of the product share."""
    rng = factors.rng
    reach, angle = size_px * float(rng.uniform(0.0, 0.035)), math.pi * float(rng.random())
    soft = bool(rng.random() < config.edge_probability)
    factors.note("edge_px", int(soft))
    return Look(
        size_px=size_px,
        shadow_px=(round(reach * math.cos(angle)), round(reach * math.sin(angle))),
        shadow=factors.uniform("shadow", *config.shadow),
        edge_px=int(soft),
        falloff=_FALLOFF,
        rng=rng,
    )


def _draw_behind(config: PastesConfig, layout: Layout, factors: FactorDraw) -> Behind:
    """What lies behind: other products as often as configured, else the background alone."""
    products, shares = BEHIND[layout.kind]
    chance = _chance(factors, "behind", "background", products, shares, config.clutter_probability)
    if factors.rng.random() < chance:
        return factors.choice("behind", products, shares)
    factors.note("behind", "background")
    return "background"


def _chance(
    factors: FactorDraw, name: str, without: str, options: Sequence[str], shares: Sequence[float], usual: float
) -> float:
    """How likely any of the options is to come: as usual, or as an aim at some of them or at `without` makes it."""
    left = factors.meant(name, (without, *options), (1 - usual, *(usual * share for share in shares)))
    return sum(left[1:]) / sum(left)


def _cut_ground(
    assets: Assets, behind: Behind, label: str, *, size_px: int, rng: np.random.Generator, owned: bool
) -> tuple[Pixels, int, Owners | None]:
    """The canvas without the product, the number of its background, and who owns what lies on it."""
    if behind in ("shelves", "heaps"):
        return cut_backdrop(assets, behind, label, size_px=size_px, rng=rng, owned=owned)
    number = int(rng.integers(len(assets.grounds)))
    canvas = crop_ground(assets.grounds[number], size_px, rng)
    return canvas, number, Owners.of_nothing(size_px) if owned else None


def _prepare(scene: _Scene, canvas: Pixels, behind: Behind) -> None:
    """Clutter on the canvas, or less light where copies are to cover it, in place."""
    if behind == "scatter":
        plain = replace(scene.look, edge_px=0, falloff=0.0, shadow_px=(0, 1), shadow=0.5)
        scatter(canvas, scene.cutout.label, scene.assets, plain, owners=scene.owners)
    elif behind == "background" and scene.layout.kind in ("row", "heap"):
        darken(canvas, float(scene.factors.rng.uniform(0.08, 0.45)))


def _lay_product(scene: _Scene, canvas: Pixels) -> float:
    """Lay the product's copies on the canvas, in place; returns the share of them that a holding hand hides."""
    look = scene.look
    if scene.layout.kind == "heap":
        _lay_heap(scene, canvas)
    elif scene.layout.kind == "held":
        return _lay_held(scene, canvas)
    else:
        draw_copies(canvas, scene.cutout, scene.layout, look, owners=scene.owners)
        for height in scene.layout.shelves:
            draw_shelf_edge(canvas, round(height * look.size_px), scene.factors.rng, owners=scene.owners)
    return 0.0


def _lay_heap(scene: _Scene, canvas: Pixels) -> None:
    """A heap over the whole frame, or up to a crate's wall with another heap beyond."""
    rng, look = scene.factors.rng, scene.look
    if scene.factors.columns["f_behind"] == "background":
        draw_copies(canvas, scene.cutout, scene.layout, look, owners=scene.owners)
        return
    line = draw_line(rng)
    draw_copies(canvas, scene.cutout, scene.layout, look, line=line, owners=scene.owners)
    lay(canvas, draw_wall(look, rng, line), 0, 0, owners=scene.owners)


def _lay_held(scene: _Scene, canvas: Pixels) -> float:
    """The product in a hand; returns the share of it that fingers hide."""
    placement, look, size = scene.layout.variants[0], scene.look, scene.look.size_px
    x, y = placement.x * size, placement.y * size
    width = placement.scale * size * min(scene.cutout.aspect, 1.0) * placement.squeeze
    behind, front = grip(look, width=width, turn_deg=placement.rotation_deg, centre=(x, y))
    lay(canvas, behind, 0, 0, owners=scene.owners)
    draw_copies(canvas, scene.cutout, scene.layout, look, owners=scene.owners)
    whole, hidden = amount(canvas), amount_hidden(canvas, front, 0, 0)
    lay(canvas, front, 0, 0, owners=scene.owners)
    return hidden / whole if whole else 0.0


def _cover(scene: _Scene, canvas: Pixels) -> float:
    """Cover part of the product, in place, as often as configured; returns the share hidden.

    How much is to be hidden is drawn first, so that it can be aimed at; of a few places the nearest is taken.
    """
    factors, whole, usual = scene.factors, amount(canvas), scene.config.occlusion_probability
    share = _chance(factors, "occluder", "none", OCCLUDERS, OCCLUDER_SHARES, usual)
    wanted = factors.uniform("occlusion", _MOST_HIDDEN * (1 - 1 / share), _MOST_HIDDEN) if share else 0.0
    uncovered = "hand" if scene.layout.kind == "held" else "none"
    if wanted <= 0 or not whole:
        factors.note("occluder", uncovered)
        return 0.0
    kind = factors.choice("occluder", OCCLUDERS, OCCLUDER_SHARES)
    sprite, x, y, label = _occluder(scene, kind, _target(scene, _AMPLE * wanted * whole / (255 * canvas.shape[0] ** 2)))
    best, nearest, reach = (x, y), 0.0, MARGIN * canvas.shape[0]
    for right, down in ((0.0, 0.0), *factors.rng.uniform(-reach, reach, (_TRIES - 1, 2)).tolist()):
        hidden = amount_hidden(canvas, sprite, x + right, y + down) / whole
        if hidden <= _MOST_HIDDEN and abs(hidden - wanted) < abs(nearest - wanted):
            best, nearest = (x + right, y + down), hidden
        if abs(nearest - wanted) < _NEAR:
            break
    if nearest:
        lay(canvas, sprite, *best, owners=scene.owners, label=label)
    else:
        factors.note("occluder", uncovered)
    return nearest


def _target(scene: _Scene, area: float) -> Target:
    """What to cover: the lone product, or copies anywhere in the frame."""
    spot = scene.layout.variants[0]
    x, y = (spot.x, spot.y) if spot.pinned else scene.factors.rng.uniform(0.1, 0.9, 2).tolist()
    return Target(x, y, area)


def _occluder(scene: _Scene, kind: Occluder, target: Target) -> tuple[Sprite, float, float, str | None]:
    """Something that covers the product, where it goes, and its label if it is a product."""
    rng, look = scene.factors.rng, replace(scene.look, edge_px=0, falloff=0.0, shadow_px=(1, 2), shadow=0.4)
    if kind == "product":
        return draw_other(scene.assets, scene.cutout.label, look, target)
    draw = {"hand": draw_hand, "bar": draw_bar, "tag": draw_tag}[kind]
    return draw(look, rng, target), 0.0, 0.0, None


def _visible(scene: _Scene, canvas: Pixels, occlusion: float) -> float:
    """Share of the product that the picture shows: of a lone one also what the frame cuts off counts as hidden."""
    if not scene.layout.variants[0].pinned:
        return 1 - occlusion
    placement, level = scene.layout.variants[0], scene.cutout.levels[-1]
    zoom = placement.scale * scene.look.size_px / max(level.shape[:2])
    whole = cv2.sumElems(level)[3] * zoom**2 * placement.squeeze
    return min(1.0, amount(canvas) / whole) if whole else 0.0


def _metered(rgb: Pixels) -> Pixels:
    """The picture with its mean brightness drawn near to a middle one, as a phone meters; linear, clipped at white."""
    mean = max(sum(cv2.mean(rgb)[:3]) / 3, 1.0)
    gain = min(max((_METERED / mean) ** _METERED_SHARE, 0.6), 1.8)
    return np.asarray(cv2.convertScaleAbs(rgb, alpha=gain))
