"""Rows are complete, the same alone as in their shard, as far as they depend on seed and place; aims are followed."""

import io
import json
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import ConfigError
from components.synthesis.backgrounds import Background
from components.synthesis.pastes.composition import compose
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout, cut_out
from components.synthesis.pastes.generator import GENERATOR
from components.synthesis.pastes.pasting import PasteSettings, PastingJob, words_drawn
from components.synthesis.pastes.surroundings import gather
from components.synthesis.picture.aims import Aim
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.picture.pictures import bounding_box, encode_png
from components.synthesis.runs.rows import Stamp
from components.synthesis.runs.shards import fill_shards

HOSTILE = "../../päron'; DROP\n🍐"


def product(label: str, colour: tuple[int, int, int]) -> Cutout:
    pixels = np.full((60, 60, 3), 255, np.uint8)
    cv2.circle(pixels, (30, 30), 20, colour, -1)
    row = {"sample_id": label, "label": label, "image": {"bytes": encode_png(pixels), "path": None}, "licence": "CC0"}
    result = cut_out(row, size_px=48)
    assert isinstance(result, Cutout)
    return result


def job(seed: int = 1, **changes: object) -> PastingJob:
    cutouts = {label: [product(label, colour)] for label, colour in ((HOSTILE, (90, 160, 40)), ("plum", (90, 20, 90)))}
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    grounds = [Background(sample_id="b", kind="photo", licence="MIT", pixels=pixels)]
    settings = PasteSettings(size_px=48, **changes)  # type: ignore[arg-type]
    stamp = Stamp(generator="detent.pastes", version=3, seed=seed, recipe="d" * 64)
    return PastingJob(assets=gather(cutouts, grounds), settings=settings, stamp=stamp, num_images=21, rows_per_shard=8)


def test_rows_are_complete():
    rows = [row for shard in range(3) for row in job().rows(shard)]
    assert len(rows) == 21
    assert [row["label"] for row in rows[:2]] == [HOSTILE, "plum"]
    for place, row in enumerate(rows):
        data = row["image"]["bytes"]
        mask = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert Image.open(io.BytesIO(data)).size == mask.shape == (48, 48)
        assert row["sample_id"] == sample_id(data)
        assert row["box"] == bounding_box(mask)
        assert row["parents"] == [row["label"], "b"]
        assert row["licence"] == "CC0; MIT"
        assert json.loads(row["recipe"]) == {
            "generator": "detent.pastes", "version": 3, "seed": 1, "recipe": "d" * 64, "shard": place // 8,
            "index": place % 8,
        }  # fmt: skip
        assert row.keys() >= {"f_scale", "f_occlusion", "f_exposure_ev", "f_blur_px", "f_background"}
    assert manifest.table_from_rows(rows).num_rows == 21


def test_shards_of_all_kinds_of_rows_agree_on_their_columns(tmp_path):
    fill_shards(tmp_path, job(), recipe={"seed": 1}, num_shards=job().num_shards, title="")
    assert manifest.read(tmp_path).num_rows == 21


def test_a_row_alone_is_the_row_of_its_shard_also_in_another_process():
    whole, again = job().rows(1), pickle.loads(pickle.dumps(job()))  # noqa: S301 - as worker processes do
    assert [again.row(1, index) for index in (5, 0, 7, 5)] == [whole[index] for index in (5, 0, 7, 5)]


def test_seeds_and_places_differ():
    ids = [row["sample_id"] for seed in (1, 2) for shard in (0, 1) for row in job(seed).rows(shard)]
    assert len(set(ids)) == len(ids) == 32


def test_nothing_lies_beyond_the_last_shard():
    assert len(job().rows(2)) == 5
    assert job().rows(3) == []


def test_aims_are_followed():
    aim = Aim(share=1.0, classes=("plum",), ranges={"pile_size": (4, 9), "exposure_ev": (0.1, 0.2)})
    for row in job(aims=(aim,)).rows(0):
        assert row["label"] == "plum"
        assert 4 <= row["f_pile_size"] <= 9
        assert 0.1 <= row["f_exposure_ev"] <= 0.2


@pytest.mark.parametrize(
    ("name", "meant", "others"),
    [
        ("arrangement", {"heap"}, {"single", "row"}),
        ("behind", {"shelves", "heaps"}, {"background"}),
        ("occluder", {"tag", "bar"}, {"none", "hand"}),
        ("occluder", {"none"}, {"tag"}),
    ],
)
def test_aims_narrow_words(name: str, meant: set[str], others: set[str]):
    def drawn(**changes: object) -> list[str]:
        shards = job(pastes=PastesConfig(held_probability=0.2 * (name != "occluder")), **changes)
        return [row[f"f_{name}"] for shard in range(3) for row in shards.rows(shard)]

    aimed = drawn(aims=(Aim(share=1.0, words={name: tuple(meant)}),))
    assert meant & set(aimed) == meant and others & set(drawn())
    assert sum(word in meant for word in aimed) >= 18, "an occluder that finds no place is left out, all else is met"
    if name != "occluder":
        assert set(aimed) == meant


def test_words_that_a_configuration_never_draws_cannot_be_aimed_at():
    known = words_drawn(PastesConfig())
    assert set(known) == GENERATOR.words
    assert known["behind"] == {"background", "scatter", "shelves", "heaps"}
    plain = words_drawn(PastesConfig(heap_probability=0, held_probability=0, occlusion_probability=0))
    assert plain["arrangement"] == {"single", "row"} and plain["occluder"] == {"none"}
    assert words_drawn(PastesConfig(clutter_probability=0))["behind"] == {"background"}


def test_an_aim_at_a_factor_that_is_not_drawn_is_an_error():
    with pytest.raises(ConfigError, match="nonsense"):
        job(aims=(Aim(share=1.0, ranges={"nonsense": (0, 1)}),)).rows(0)


def test_objects_tell_every_product_apart_and_leave_all_else_as_it_was():
    plain, told = job(), job(pastes=PastesConfig(objects=True))
    piles = shared = 0
    for row, bare in zip((told.row(0, n) for n in range(40)), (plain.row(0, n) for n in range(40)), strict=True):
        objects = row.pop("objects")
        assert row == bare, "image, mask, box and factors do not depend on it"
        masks = [cv2.imdecode(np.frombuffer(one["mask"], np.uint8), cv2.IMREAD_GRAYSCALE) > 127 for one in objects]
        assert [one["box"] for one in objects] == [bounding_box(mask * np.uint8(255)) for mask in masks]
        assert np.sum(masks, axis=0).max() <= 1, "a pixel shows one thing"
        own = np.any([mask for one, mask in zip(objects, masks, strict=True) if one["label"] == row["label"]], axis=0)
        whole = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE) > 127
        assert (own & ~whole).mean() < 0.02 and (whole & ~own).mean() < 0.1, "but for slivers, the copies are the mask"
        copies = [one for one in objects if one["label"] == row["label"]]
        assert len(copies) == 1 or row["f_pile_size"] > 1
        piles += len(copies) > 1
        shared += len({one["label"] for one in objects}) > 1
    assert piles > 5 and shared > 5, "heaps and rows have an object a copy, and other products keep their labels"


def test_masks_of_objects_lie_where_their_colour_is():
    made, behind = job(), set()
    plain = PastesConfig(objects=True, harmonise=0.0, occlusion_probability=0.0)
    for seed in range(60):
        factors = FactorDraw(np.random.default_rng(seed))
        scene = compose(made.assets, plain, ("plum", HOSTILE)[seed % 2], size_px=48, factors=factors)
        assert scene.owners is not None
        redder = scene.rgb[..., 0].astype(int) > scene.rgb[..., 1]
        for label, mask in scene.owners.objects():
            shown = redder[mask > 0]
            if shown.size > 60:  # of less, the edge is too great a part
                assert (shown if label == "plum" else ~shown).mean() > 0.85, (seed, label, factors.columns["f_behind"])
        behind.add(factors.columns["f_behind"])
    assert behind == {"background", "scatter", "shelves", "heaps"}
