"""Rows of renders are complete, true to their labels, and the same alone, in shards and in any order."""

import io
import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from components.core.digests import sample_id
from components.core.errors import ConfigError
from components.core.manifest import table_from_rows
from components.synthesis.backgrounds import Background
from components.synthesis.light.lighting import LightConfig
from components.synthesis.light.panoramas import light_from_panorama
from components.synthesis.picture.aims import Aim
from components.synthesis.picture.camera import CameraConfig
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.framing import geometry, silhouette
from components.synthesis.renders.generator import GENERATOR, WRAPS
from components.synthesis.renders.planning import PlannedView, Subject
from components.synthesis.renders.rendering import RenderingJob, RenderSettings, words_drawn
from components.synthesis.renders.transfers import Transfer
from components.synthesis.runs.rows import Stamp


@dataclass
class Kept:
    transfers: dict[str, Transfer]

    def load(self, key: str) -> Transfer:
        return self.transfers[key]


def backgrounds() -> tuple[Background, ...]:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 256, shape, np.uint8) for shape in ((60, 90, 3), (80, 70, 3))]
    return tuple(
        Background(sample_id=f"{number:032d}", kind="photo", licence=licence, pixels=pixels)
        for number, (pixels, licence) in enumerate(zip(pictures, ("CC0", None), strict=True))
    )


@pytest.fixture(scope="module")
def make(ball):
    def job(*, lights_per_view: int = 40, num_views: int = 2, size_px: int = 48, aim: Aim | None = None, **changes):
        settings = RenderSettings(
            renders=RendersConfig(lights_per_view=lights_per_view, **changes), size_px=size_px, camera=CameraConfig()
        )
        transfers = {str(number): ball(48, azimuth_deg=40.0 * number) for number in range(num_views)}
        subject = Subject(label="ball", digest="c" * 64, size_m=(0.6, 0.6, 0.6), group="ball-1", licence="MIT")
        views = tuple(
            PlannedView(subject=subject, view=view, factors={"f_azimuth_deg": view.azimuth_deg}, aim=aim, key=key)
            for key, view in ((key, transfer.view) for key, transfer in transfers.items())
        )
        return RenderingJob(
            views=views,
            transfers=Kept(transfers),
            backgrounds=backgrounds(),
            settings=settings,
            stamp=Stamp(generator="detent.renders", version=1, seed=7, recipe="d" * 64),
        )

    return job


def picture(row: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))


def mask_of(row: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["mask"])))


def test_a_row_alone_is_the_row_of_its_shard_byte_for_byte(make):
    job = make()
    rows = job.rows(0)
    assert len(rows) == 80
    for index in (0, 13, 31, 32, 39, 40, 71, 72, 79):
        assert job.row(0, index) == rows[index]


def test_a_pickled_job_makes_the_same_rows(make):
    job = make(lights_per_view=3)
    assert pickle.loads(pickle.dumps(job)).rows(0) == job.rows(0)  # noqa: S301 - as worker processes get it


def test_views_share_shards_and_none_is_lost(make):
    job = make(lights_per_view=600, num_views=3)
    assert job.views_per_shard == 1 and job.num_shards == 3
    job = make(lights_per_view=4, num_views=3)
    assert job.num_shards == 1
    rows = job.rows(0)
    assert [row["f_azimuth_deg"] for row in rows] == [0.0] * 4 + [40.0] * 4 + [80.0] * 4
    assert job.rows(1) == []


def test_all_rows_differ(make):
    rows = make(lights_per_view=20).rows(0)
    assert len({row["sample_id"] for row in rows}) == len(rows)


def test_rows_fit_the_manifest_and_say_how_they_were_made(make):
    rows = make(lights_per_view=8).rows(0)
    table = table_from_rows(rows)
    assert table.num_rows == 16
    for index, row in enumerate(rows):
        assert row["sample_id"] == sample_id(row["image"]["bytes"])
        assert picture(row).shape == (48, 48, 3) and mask_of(row).shape == (48, 48)
        assert row["source"] == "render" and row["label"] == "ball" and row["split"] == "train"
        assert row["parents"][0] == "c" * 64 and row["parents"][1] in {b.sample_id for b in backgrounds()}
        assert row["licence"] in ("MIT", "MIT; CC0")
        place = {"generator": "detent.renders", "version": 1, "seed": 7, "recipe": "d" * 64, "shard": 0, "index": index}
        assert json.loads(row["recipe"]) == place
    needed = "azimuth_deg light light_ev background scale roll_deg occlusion occluder visible blur_px exposure_ev"
    assert {f"f_{name}" for name in needed.split()} <= set(rows[0])


def test_masks_and_boxes_tell_where_the_object_is(make):
    for row in make(lights_per_view=12, occlusion_probability=0.0).rows(0):
        mask = mask_of(row)
        left, top, right, bottom = row["box"]
        solid = mask > 127
        assert solid[top:bottom, left:right].sum() == solid.sum() > 0
        assert solid[top].any() and solid[bottom - 1].any() and solid[:, left].any() and solid[:, right - 1].any()
        assert 0 < row["f_visible"] <= 1.05
        assert row["f_occlusion"] == 0


def test_the_object_is_where_its_mask_says(make):
    """The same picture of a black object without a shadow differs inside the mask, and outside by shadow alone."""
    job = make(lights_per_view=6, occlusion_probability=0.0)
    plain = CameraConfig(
        exposure_ev=(0, 0), warmth=0, tint=0, contrast=(0, 0), shading=0, vignette=0, blur_px=0, motion_px=0, noise=0,
        jpeg_quality=(100, 100),
    )  # fmt: skip
    job = replace(job, settings=replace(job.settings, camera=plain))
    black = Kept({key: _black(transfer) for key, transfer in job.transfers.transfers.items()})
    for shown, bare in zip(job.rows(0), replace(job, transfers=black).rows(0), strict=True):
        mask = mask_of(shown)
        change = picture(shown).astype(int).mean(axis=2) - picture(bare).astype(int).mean(axis=2)
        assert change[mask == 255].mean() > 12
        assert change[mask == 0].mean() < 1  # no light is added beside the object


def _black(transfer: Transfer) -> Transfer:
    bare = np.broadcast_to(transfer.open_ground, transfer.ground.shape).astype(np.float16)
    return replace(transfer, response=np.zeros_like(transfer.response), ground=bare)


def test_occluded_objects_show_less(make):
    rows = make(lights_per_view=30, occlusion_probability=1.0).rows(0)
    hidden = [row for row in rows if row["f_occlusion"] > 0.05]
    assert len(hidden) > 30
    whole = [row for row in rows if row["f_occlusion"] == 0 and row["box"][0] > 0 and row["box"][2] < 48]
    for row in hidden:
        assert row["f_visible"] <= 1.05 * (1 - row["f_occlusion"])
        assert row["f_occluder"] in ("hand", "bar", "tag")
    assert all(row["f_occluder"] == "none" for row in whole)


def test_geometry_is_that_of_the_row(make):
    job = make(lights_per_view=4, occlusion_probability=0.6)
    for index in range(8):
        found, row = job.geometry(0, index), job.row(0, index)
        assert (found.mask == mask_of(row)).all()
        assert ((found.depth > 0) == (mask_of(row) > 127)).all()
        lengths = np.linalg.norm(found.normals, axis=-1)
        assert lengths[found.depth > 0] == pytest.approx(1, abs=0.002) and not lengths[found.depth == 0].any()


def test_what_is_covered_has_no_depth(make):
    """The same images with and without what covers them: where something does, nothing of the object is measured."""
    job = make(lights_per_view=20, occlusion_probability=1.0)
    checked = 0
    for index in range(40):
        found, row = job.geometry(0, index), job.row(0, index)
        whole = _uncovered(job, index)
        covered = (whole.depth > 0) & (found.mask <= 127)
        assert not found.depth[covered].any() and not found.normals[covered].any()
        assert (found.depth[~covered] == whole.depth[~covered]).all()
        assert covered.sum() / (whole.depth > 0).sum() == pytest.approx(row["f_occlusion"], abs=0.05)
        checked += covered.sum() > 20
    assert checked > 15


def _uncovered(job: RenderingJob, index: int):
    """The geometry of an image before anything covers it."""
    transfer = job.transfers.load(job.views[index // 20].key)
    shape = silhouette(transfer)
    draft = job._draft(0, index, shape)
    return geometry(transfer, shape, draft.placement, draft.mask)


def test_light_matters(make):
    """Two rows that differ in nothing but their kind of light differ in their pixels."""
    one, other = (make(lights_per_view=2, lights=LightConfig(shares={kind: 1.0})).row(0, 0) for kind in ("sky", "lamp"))
    assert one["f_light"] == "sky" and other["f_light"] == "lamp"
    assert one["f_scale"] == other["f_scale"]
    assert (picture(one) != picture(other)).any()


def test_panoramas_are_turned_and_used(make):
    panorama = np.full((16, 32, 3), 0.2)
    panorama[3:6, 5:9] = 6.0
    job = make(lights_per_view=6, lights=LightConfig(shares={"panorama": 1.0}, panoramas=("room.hdr",)))
    job = replace(job, settings=replace(job.settings, panoramas=(light_from_panorama(panorama),)))
    rows = job.rows(0)
    assert {row["f_light"] for row in rows} == {"panorama"}
    assert np.ptp([row["f_light_azimuth_deg"] for row in rows]) > 60


def test_aims_narrow_every_row_of_their_views(make):
    aim = Aim(share=1.0, ranges={"scale": (0.9, 1.0), "exposure_ev": (-1.0, -0.9)})
    for row in make(lights_per_view=5, aim=aim).rows(0):
        assert 0.9 <= row["f_scale"] <= 1.0 and -1.0 <= row["f_exposure_ev"] <= -0.9


def test_aims_narrow_words_and_leave_the_rest_of_an_image_as_it_was(make):
    plain = make(lights_per_view=12).rows(0)
    lit = make(lights_per_view=12, aim=Aim(share=1.0, words={"light": ("sky", "lamp")})).rows(0)
    assert {row["f_light"] for row in lit} == {"sky", "lamp"} != {row["f_light"] for row in plain}
    assert [row["f_scale"] for row in lit] == [row["f_scale"] for row in plain]
    meant = Aim(share=1.0, words={"occluder": ("hand", "tag")})
    covered = [row["f_occluder"] for row in make(lights_per_view=30, aim=meant).rows(0)]
    assert set(covered) <= {"hand", "tag", "none"} and covered.count("none") < 12, "something covers nearly always"
    bare = make(lights_per_view=30, aim=Aim(share=1.0, words={"occluder": ("none",)})).rows(0)
    assert {(row["f_occluder"], row["f_occlusion"]) for row in bare} == {("none", 0.0)}


def test_aims_narrow_the_kind_of_background(make):
    job = make(lights_per_view=12, aim=Aim(share=1.0, words={"background": ("room",)}))
    rooms = replace(job.backgrounds[0], kind="room"), job.backgrounds[1]
    assert {row["f_background"] for row in replace(job, backgrounds=rooms).rows(0)} == {"room"}
    known = words_drawn(job.settings.renders, rooms)
    assert known["background"] == {"room", "photo"} and "panorama" not in known["light"]
    assert words_drawn(RendersConfig(occlusion_probability=0), rooms)["occluder"] == {"none"}
    assert set(known) == GENERATOR.words == WRAPS.words


def test_an_aim_at_a_factor_that_is_not_drawn_is_refused(make):
    with pytest.raises(ConfigError, match="colour"):
        make(lights_per_view=2, aim=Aim(share=1.0, ranges={"colour": (0, 1)})).rows(0)
