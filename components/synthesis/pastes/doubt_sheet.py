"""Draws the sheet of doubtful cut-outs on which a person sees at a glance what went wrong."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from components.core.files import write_bytes
from components.synthesis.pastes.doubts import DoubtfulCutout
from components.synthesis.picture.pictures import Pixels

_CELL_PX, _TEXT_PX, _COLUMNS = 190, 92, 5


def draw_sheet(cells: Sequence[tuple[DoubtfulCutout, Pixels | None]], path: Path) -> Path:
    """Write a PNG of the cells, each a picture (or none) above its label and reason; returns the path."""
    rows = max(1, -(-len(cells) // _COLUMNS))
    sheet = Image.new("RGB", (_COLUMNS * _CELL_PX, rows * (_CELL_PX + _TEXT_PX)), (245, 245, 245))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, (item, shown) in enumerate(cells):
        left, top = index % _COLUMNS * _CELL_PX, index // _COLUMNS * (_CELL_PX + _TEXT_PX)
        if shown is None:
            box = (left + 20, top + 20, left + _CELL_PX - 20, top + _CELL_PX - 20)
            pen.line(box, fill=(200, 0, 0), width=3)
        else:
            picture = Image.fromarray(shown)
            picture.thumbnail((_CELL_PX - 8, _CELL_PX - 8))
            sheet.paste(picture, (left + 4, top + 4))
        fate = "used" if item.used else "left out"
        text = textwrap.wrap(f"{item.label} ({fate}): {item.reason}", width=30, max_lines=6)
        pen.text((left + 4, top + _CELL_PX), "\n".join(text), fill=(20, 20, 20), font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())
    return path
