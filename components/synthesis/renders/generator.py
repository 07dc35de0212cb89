"""Renders: models whose light paths are traced once, then relit; and wraps, pictures made models. Read this file first.

`stock.py` loads models, `wraps.py` makes them, `planning.py` says what is seen from where, `tracing.py` traces a view,
`relighting.py` lights it, `framing.py` sets it into a picture, `rendering.py` makes rows and `lot.py` says how many.
"""

from __future__ import annotations

from components.synthesis.backgrounds import BACKGROUNDS
from components.synthesis.generators import Generator
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.renders.config import RendersConfig, WrapsConfig
from components.synthesis.renders.stock import MODELS, PANORAMAS
from components.synthesis.runs.jobs import Lot, Order
from components.synthesis.runs.machine import package_versions

VERSION, WRAPS_VERSION = 1, 1
_WORDS = frozenset({"background", "light", "occluder"})


def _lay_out_models(order: Order) -> Lot:
    from components.synthesis.renders.lot import model_lot

    return model_lot(order)


def _lay_out_wraps(order: Order) -> Lot:
    from components.synthesis.renders.lot import wrap_lot

    return wrap_lot(order)


def _tracers() -> dict[str, str]:
    from components.synthesis.renders.backends import choose_backend

    return {"tracer": choose_backend().name, **package_versions("mitsuba", "trimesh")}


GENERATOR = Generator(
    name="renders",
    version=VERSION,
    source="render",
    subjects=MODELS,
    surroundings=(BACKGROUNDS, PANORAMAS),
    config=RendersConfig,
    words=_WORDS,
    lay_out=_lay_out_models,
    made_with=_tracers,
    standard=True,
)
WRAPS = Generator(
    name="wraps",
    version=WRAPS_VERSION,
    source="render",
    subjects=PICTURES,
    surroundings=(BACKGROUNDS, PANORAMAS),
    config=WrapsConfig,
    words=_WORDS,
    lay_out=_lay_out_wraps,
    made_with=_tracers,
    standard=True,
)
