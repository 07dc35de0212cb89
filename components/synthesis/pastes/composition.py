"""Composes one paste: background, other products behind, the product, what covers it, and the exposure.

A paste is a function of the assets, the configuration and the random generator it is given, nothing else.
The mask is what is left of the product in the picture, occlusion and frame included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from components.synthesis.backgrounds import Background
from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.arrangement import Placement, arrange
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.exposure import choose_exposure, expose
from components.synthesis.pastes.layers import cast_shadow, lay_over, warp
from components.synthesis.pastes.occluders import Occluder, draw_bar, draw_hand
from components.synthesis.pictures import Pixels, encode_jpeg

_MOST_HIDDEN = 0.6  # an occluder that would hide more of the product than this is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What pastes are made of: cut-outs by class, in a stable order, and backgrounds."""

    cutouts: dict[str, list[Cutout]]
    backgrounds: list[Background]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paste:
    """A finished paste: JPEG bytes, visible mask (S, S) uint8, its cut-out and background, factor columns."""

    encoded: bytes
    mask: Pixels
    cutout: Cutout
    background: Background
    factors: dict[str, Any]


def compose(assets: Assets, config: SynthesisConfig, label: str, rng: np.random.Generator) -> Paste:
    """Make one paste of a class."""
    choices = assets.cutouts[label]
    cutout = choices[rng.integers(len(choices))]
    background = assets.backgrounds[rng.integers(len(assets.backgrounds))]
    canvas = _crop(background.pixels, config.size_px, rng)
    num_behind = _lay_clutter(canvas, assets, config, rng)
    aspect = cutout.levels[0].shape[1] / cutout.levels[0].shape[0]
    arrangement, placements = arrange(config, aspect, rng)
    mask = _lay_product(canvas, cutout, placements, rng)
    occluder, occlusion = _occlude(canvas, mask, assets, config, rng)
    exposure = choose_exposure(config, rng)
    picture = expose(canvas, exposure, rng)
    first = placements[-1]
    factors = {
        "f_arrangement": arrangement,
        "f_copies": len(placements),
        "f_scale": first.scale,
        "f_rotation_deg": first.rotation_deg,
        "f_background": background.kind,
        "f_clutter": num_behind,
        "f_occluder": occluder,
        "f_occlusion": occlusion,
        "f_light": exposure.gain,
        "f_warmth": float(np.log(exposure.cast[0] / exposure.cast[2])),
        "f_blur_px": exposure.blur_px,
        "f_noise": exposure.noise,
    }
    encoded = encode_jpeg(picture, exposure.jpeg_quality)
    return Paste(encoded=encoded, mask=mask, cutout=cutout, background=background, factors=factors)


def _crop(pixels: Pixels, size_px: int, rng: np.random.Generator) -> Pixels:
    """A square of the background, mirrored half of the time, scaled to the frame."""
    short = min(pixels.shape[:2])
    side = int(short * rng.uniform(0.6, 1.0))
    top, left = rng.integers(pixels.shape[0] - side + 1), rng.integers(pixels.shape[1] - side + 1)
    part = pixels[top : top + side, left : left + side]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.resize(np.ascontiguousarray(part), (size_px, size_px), interpolation=cv2.INTER_LINEAR))


def _lay_clutter(canvas: Pixels, assets: Assets, config: SynthesisConfig, rng: np.random.Generator) -> int:
    """Lay other products, of any class, on the canvas; returns how many."""
    if rng.random() >= config.clutter_probability:
        return 0
    number = int(rng.integers(2, 7))
    for _ in range(number):
        placement = _anywhere(rng, float(rng.uniform(0.2, 0.6)))
        warped = warp(_any_cutout(assets, rng), placement, config.size_px)
        if warped is not None:
            cast_shadow(canvas, *warped, shift=(0, 2), strength=0.4)
            lay_over(canvas, *warped)
    return number


def _lay_product(canvas: Pixels, cutout: Cutout, placements: list[Placement], rng: np.random.Generator) -> Pixels:
    """Lay the product's copies on the canvas, each a little differently lit, and return their mask."""
    size_px = canvas.shape[0]
    mask = np.zeros((size_px, size_px), np.uint8)
    reach, strength = size_px * float(rng.uniform(0.0, 0.06)), float(rng.uniform(0.2, 0.75))
    angle = float(rng.uniform(0, np.pi))
    shift = round(reach * np.cos(angle)), round(reach * np.sin(angle))
    for placement in placements:
        warped = warp(cutout, placement, size_px)
        if warped is None:
            continue
        layer, region = warped
        layer = _relight(layer, rng)
        cast_shadow(canvas, layer, region, shift=shift, strength=strength)
        mask[region] = np.maximum(mask[region], lay_over(canvas, layer, region))
    return mask


def _relight(layer: Pixels, rng: np.random.Generator) -> Pixels:
    """Light on one copy that falls off over it; coverage stays as it is."""
    coarse = np.clip(160 * rng.normal(0.95, 0.13, (2, 2)), 72, 208).astype(np.uint8)
    falls = cv2.resize(coarse, (layer.shape[1], layer.shape[0]))
    alpha = cv2.extractChannel(layer, 3)
    lit = cv2.multiply(layer, cv2.cvtColor(falls, cv2.COLOR_GRAY2RGBA), scale=1 / 160)
    lit = cv2.min(lit, cv2.merge([alpha] * 4))  # premultiplied colour never exceeds coverage
    return np.asarray(cv2.insertChannel(alpha, lit, 3))


def _occlude(
    canvas: Pixels, mask: Pixels, assets: Assets, config: SynthesisConfig, rng: np.random.Generator
) -> tuple[Occluder, float]:
    """Cover part of the product, in canvas and mask; returns by what, and the share of the product hidden."""
    if rng.random() >= config.occlusion_probability:
        return "none", 0.0
    kind: Occluder = ("product", "hand", "bar")[rng.choice(3, p=[0.35, 0.4, 0.25])]
    full = slice(0, config.size_px), slice(0, config.size_px)
    if kind == "product":
        warped = warp(_any_cutout(assets, rng), _anywhere(rng, float(rng.uniform(0.2, 0.5))), config.size_px)
        if warped is None:
            return "none", 0.0
        layer, region = warped
    else:
        layer, region = (draw_hand if kind == "hand" else draw_bar)(config.size_px, rng), full
    left = mask.copy()
    left[region] = cv2.multiply(mask[region], 255 - layer[..., 3], scale=1 / 255)
    seen = float(mask.sum(dtype=np.int64))
    hidden = 1 - float(left.sum(dtype=np.int64)) / seen if seen else 0.0
    if hidden > _MOST_HIDDEN:
        return "none", 0.0
    cast_shadow(canvas, layer, region, shift=(1, 2), strength=0.4)
    lay_over(canvas, layer, region)
    mask[:] = left
    return kind, hidden


def _any_cutout(assets: Assets, rng: np.random.Generator) -> Cutout:
    labels = list(assets.cutouts)
    choices = assets.cutouts[labels[rng.integers(len(labels))]]
    return choices[rng.integers(len(choices))]


def _anywhere(rng: np.random.Generator, scale: float) -> Placement:
    return Placement(
        centre=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        scale=scale,
        rotation_deg=float(rng.normal(0, 20)),
        mirrored=bool(rng.random() < 0.5),
        shifts=np.zeros((4, 2), np.float32),
    )
