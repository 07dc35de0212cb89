"""Rows of finished images: a recipe is JSON, licences stand once, sizes are the mask's."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.runs.rows import Stamp, image_columns, joined_licences, objects_column, row_rng

NUMBER = st.integers(0, 2**31)


@given(seed=NUMBER, shard=NUMBER, index=NUMBER)
def test_a_recipe_is_what_json_writes_with_sorted_keys(seed: int, shard: int, index: int) -> None:
    told = {"generator": "detent.pastes", "version": 2, "seed": seed, "recipe": "ab12", "shard": shard, "index": index}
    written = Stamp(generator="detent.pastes", version=2, seed=seed, recipe="ab12").at(shard, index)
    assert written == json.dumps(told, sort_keys=True)


def test_a_licence_stands_once() -> None:
    assert joined_licences("MIT", None, "CC0", "MIT") == "MIT; CC0"
    assert joined_licences(None, "") is None


def test_size_and_box_are_the_masks() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:7] = 255
    columns = image_columns(b"picture", mask)
    assert (columns["width_px"], columns["height_px"], columns["box"]) == (8, 6, [3, 2, 7, 4])


def test_rows_draw_from_streams_of_their_own():
    draws = {row_rng(seed, shard, index).random() for seed in (0, 1) for shard in (0, 1) for index in (0, 1)}
    assert len(draws) == 8
    assert row_rng(3, 1, 2).random() == row_rng(3, 1, 2).random()


def test_an_object_that_does_not_show_is_left_out() -> None:
    hidden, seen = np.full((2, 6, 8), 90, np.uint8)
    seen[2:4, 3:7] = 255
    (found,) = objects_column([("pear", hidden), ("plum", seen)])
    assert (found["label"], found["box"]) == ("plum", [3, 2, 7, 4])
