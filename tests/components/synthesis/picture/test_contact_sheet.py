"""A contact sheet shows a row a class, and says when there is nothing to show."""

import numpy as np
import pytest
from PIL import Image

from components.core.errors import DataError
from components.core.manifest import write_shard
from components.synthesis.picture.contact_sheet import draw_contact_sheet
from components.synthesis.picture.pictures import encode_png


def row(label: str, colour: tuple[int, int, int]) -> dict:
    return {"label": label, "image": {"bytes": encode_png(np.full((20, 10, 3), colour, np.uint8)), "path": None}}


def test_every_class_gets_a_row_in_alphabetical_order(tmp_path):
    rows = [row("pear", (0, 200, 0)), row("apple", (200, 0, 0)), row("pear", (0, 0, 200))]
    path = draw_contact_sheet(rows, tmp_path / "sheet.png", per_class=2, cell_px=20)
    with Image.open(path) as sheet:
        assert sheet.height == 2 * 23
        assert sheet.getpixel((130, 10)) == (200, 0, 0)
        assert sheet.getpixel((130, 33)) == (0, 200, 0)
        assert sheet.getpixel((153, 33)) == (0, 0, 200)


def test_a_manifest_folder_is_read(tmp_path):
    write_shard(tmp_path / "m" / "shard-00000.parquet", [row("pear", (9, 9, 9))])
    assert draw_contact_sheet(tmp_path / "m", tmp_path / "sheet.png").is_file()


def test_a_picture_that_cannot_be_read_is_crossed_out(tmp_path):
    broken = {"label": "pear", "image": {"bytes": b"nothing", "path": None}}
    with Image.open(draw_contact_sheet([broken], tmp_path / "sheet.png", cell_px=20)) as sheet:
        assert sheet.getpixel((130, 10))[0] > sheet.getpixel((130, 10))[1] + 100


def test_boxes_are_drawn_around_objects(tmp_path):
    objects = [{"mask": None, "box": [2, 4, 8, 16], "label": "pear"}]
    rows = [row("pear", (9, 9, 9)) | {"objects": objects}, row("plum", (9, 9, 9))]
    write_shard(tmp_path / "m" / "shard-00000.parquet", rows)
    with Image.open(draw_contact_sheet(tmp_path / "m", tmp_path / "sheet.png", cell_px=20)) as sheet:
        corner, inside = sheet.getpixel((120 + 5 + 2, 4)), sheet.getpixel((120 + 5 + 4, 8))
        assert corner != inside == (9, 9, 9) and sheet.getpixel((120 + 5 + 7, 15)) == corner
        assert sheet.getpixel((120 + 5 + 2, 23 + 4)) == (9, 9, 9)


def test_no_rows_are_an_error(tmp_path):
    with pytest.raises(DataError, match="no rows to draw"):
        draw_contact_sheet([], tmp_path / "sheet.png")
