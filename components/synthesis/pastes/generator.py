"""Pastes: cut-outs of the catalogue's pictures, set among others on a background. Read this file first.

`stock.py` cuts out, `arrangement.py` says where copies lie, `composition.py` composes one paste with the help of
`backdrops.py`, `occluders.py` and `harmony.py`, `pasting.py` makes rows of them and `lot.py` says how many.
"""

from __future__ import annotations

from components.synthesis.backgrounds import BACKGROUNDS
from components.synthesis.generators import Generator
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.runs.jobs import Lot, Order

VERSION = 3


def _lay_out(order: Order) -> Lot:
    from components.synthesis.pastes.lot import lay_out

    return lay_out(order)


GENERATOR = Generator(
    name="pastes",
    version=VERSION,
    source="paste",
    subjects=PICTURES,
    surroundings=(BACKGROUNDS,),
    config=PastesConfig,
    words=frozenset({"arrangement", "behind", "occluder"}),
    lay_out=_lay_out,
    standard=True,
)
