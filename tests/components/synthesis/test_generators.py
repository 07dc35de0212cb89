"""A generator that the house has never seen takes part once it is named in one line, and is named when it is not found.

It draws discs in two colours, needs no catalogue, can be aimed at a word of its own, and shows two things an image.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import ConfigError, IntegrityError
from components.core.files import read_json
from components.core.params import parse_section
from components.synthesis import generators
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import SynthesisSummary, synthesise
from components.synthesis.generators import Generator, find_generator, word_factors
from components.synthesis.picture.aims import Aim, aimed_draw, aimed_label, check_factors, choose_aim
from components.synthesis.picture.encoding import encode_jpeg
from components.synthesis.picture.pictures import encode_png
from components.synthesis.provenance import Origin, Remaker
from components.synthesis.runs.jobs import Lot, Order, fitting_aims
from components.synthesis.runs.rows import Stamp, image_columns, objects_column, row_rng
from components.synthesis.runs.terms import GeneratorConfig
from components.synthesis.runs.work import Row
from components.synthesis.stock import Asset, Delivery, Source, Stock

# The generator


class DiscsConfig(GeneratorConfig):
    most_px: int = 5


def read_colours(stock: Stock) -> Delivery[Mapping[str, tuple[int, int, int]]]:
    colours = {"ruby": (200, 20, 40), "jade": (20, 160, 90)}
    named = (Asset(sample_id=f"{n:0>32}", role="colour", name=n, label=n, licence=None, drawn=True) for n in colours)
    return Delivery(items=colours, assets=tuple(named))


COLOURS = Source(role="colour", read=read_colours)


@dataclass(frozen=True)
class Discs:
    labels: tuple[str, ...]
    colours: Mapping[str, tuple[int, int, int]]
    size_px: int
    most_px: int
    stamp: Stamp
    aims: tuple[Aim, ...] = ()

    def rows(self, shard: int) -> list[Row]:
        return [self.row(shard, index) for index in range(len(self.labels))]

    def row(self, shard: int, index: int) -> Row:
        rng = row_rng(self.stamp.seed, shard, index)
        aim = choose_aim(self.aims, rng)
        label, factors = aimed_label(aim, self.labels[index], rng), aimed_draw(aim, rng)
        shade, radius = factors.choice("shade", ("light", "dark")), factors.count("radius_px", 2, self.most_px)
        image, masks = np.full((self.size_px, self.size_px, 3), 230 if shade == "light" else 30, np.uint8), []
        for x in (self.size_px // 4, self.size_px * 3 // 4):
            masks.append(cv2.circle(np.zeros(image.shape[:2], np.uint8), (x, 8), radius, 255, -1))
            image[masks[-1] > 0] = self.colours[label]
        check_factors(aim, factors.columns)
        columns = image_columns(encode_jpeg([image], [90])[0], np.maximum(*masks)) | factors.columns
        objects = objects_column((label, mask) for mask in masks)
        return columns | {"label": label, "source": "disc", "objects": objects, "recipe": self.stamp.at(shard, index)}


def lay_out(order: Order) -> Lot:
    terms, colours = order.terms, order.stock.read(COLOURS).items
    labels = tuple(label for label, count in order.counts.items() for _ in range(count))
    job = Discs(labels, colours, terms.size_px, terms.section("discs", DiscsConfig).most_px, order.stamp)
    aims = fitting_aims(terms.aims, colours, lambda: job.row(0, 0), {"shade": {"light", "dark"}})
    aimed = Discs(labels, colours, job.size_px, job.most_px, order.stamp, tuple(aims.values()))
    return Lot(title="Drawing discs", job=aimed, num_shards=1, num_images=len(labels), aims=frozenset(aims))


GENERATOR = Generator(
    name="discs", version=7, source="disc", subjects=COLOURS, config=DiscsConfig, words=frozenset({"shade"}),
    lay_out=lay_out,
)  # fmt: skip

# What the house makes of it


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setitem(generators.BUILT_IN, "discs", f"{__name__}:GENERATOR")  # the one line
    return


def make(out: Path, catalog: Path | None = None, **changes: object) -> tuple[SynthesisSummary, list[Row]]:
    section = {"num_per_class": 5, "size_px": 32, "generators": {"discs": {"most_px": 4}}, **changes}
    summary = synthesise(catalog, None, parse_section(SynthesisConfig, section, where="synthesis"), out=out, seed=3)
    return summary, manifest.read(out).to_pylist()


def test_it_makes_images_without_a_catalogue_and_the_recipe_names_it_with_its_version(tmp_path: Path) -> None:
    summary, rows = make(tmp_path / "out")
    assert summary.num_by_generator == {"discs": 10} and summary.num_by_role == {"colour": 2}
    assert [row["label"] for row in rows] == ["jade"] * 5 + ["ruby"] * 5
    assert max(row["f_radius_px"] for row in rows) <= 4, "its own settings count"
    recipe = read_json(tmp_path / "out" / "recipe.json")
    assert recipe["generators"] == {"discs": 7} and recipe["config"]["generators"]["discs"] == {
        "most_px": 4,
        "share": 1,
    }
    assert set(recipe["made_with"]) == {"processor", "numpy", "opencv-python-headless", "pillow"}


def test_an_image_holds_two_objects_with_a_mask_and_a_box_each(tmp_path: Path) -> None:
    _, rows = make(tmp_path / "out")
    for row in rows:
        left, right = row["objects"]
        assert left["label"] == right["label"] == row["label"]
        assert left["box"][2] <= 16 <= right["box"][0] and [left["box"][0], *right["box"][1:]] == [
            row["box"][0],
            *row["box"][1:],
        ]
        mask = cv2.imdecode(np.frombuffer(right["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask[8, 24] == 255 and not mask[:, :16].any()


def test_it_takes_its_share_beside_the_others(tmp_path: Path) -> None:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    cv2.circle(pixels, (20, 20), 12, (200, 20, 40), -1)
    data = encode_png(pixels)
    row = {"sample_id": sample_id(data), "label": "ruby", "image": {"bytes": data, "path": None}}
    manifest.write_shard(tmp_path / "catalog" / "shard-00000.parquet", [row])
    summary, _ = make(tmp_path / "out", tmp_path / "catalog")
    assert summary.num_by_generator == {"pastes": 5, "discs": 5}, "in the order of the list, pastes before discs"
    first = {"discs": f"{__name__}:GENERATOR", **generators.BUILT_IN}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generators, "BUILT_IN", first)
        summary, rows = make(tmp_path / "out", tmp_path / "catalog", generators={"discs": {"share": 0.4}})
    assert summary.num_by_generator == {"pastes": 3, "discs": 7} and summary.num_classes == 2
    assert {row["source"] for row in rows if row["label"] == "ruby"} == {"paste", "disc"}


def test_aims_narrow_its_word_and_refuse_what_it_never_draws(tmp_path: Path) -> None:
    aim = {"share": 1.0, "classes": ["jade"], "words": {"shade": ["dark"]}, "ranges": {"radius_px": [3, 3]}}
    _, rows = make(tmp_path / "out", aims=[aim])
    assert {(row["label"], row["f_shade"], row["f_radius_px"]) for row in rows} == {("jade", "dark", 3)}
    assert word_factors()["disc"] == {"shade"}
    with pytest.raises(ConfigError, match=r"shade \(loud\).*\['shade'\] in discs"):
        make(tmp_path / "out", aims=[{"share": 1.0, "words": {"shade": ["loud"]}}])


def test_its_images_are_made_again_until_its_version_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, rows = make(tmp_path / "out")
    origin = Origin(catalog=None, backgrounds=None)
    remaker = Remaker.open(tmp_path / "out", origin)
    for row in rows[::3]:
        assert remaker.remake(row["sample_id"]) == row["image"]["bytes"]
    newer = Generator(
        name="discs", version=8, source="disc", subjects=COLOURS, config=DiscsConfig, words=GENERATOR.words,
        lay_out=lay_out,
    )  # fmt: skip
    monkeypatch.setitem(globals(), "GENERATOR", newer)
    with pytest.raises(IntegrityError, match="made by version 7 of discs, and this is version 8"):
        Remaker.open(tmp_path / "out", origin).remake(rows[0]["sample_id"])
    second, again = make(tmp_path / "out")
    assert second.num_shards_made == 1 and second.recipe != first.recipe, "another version's shards are made again"
    assert [row["sample_id"] for row in again] == [row["sample_id"] for row in rows], "the digest is in no image"


def test_a_package_of_ones_own_brings_generators_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(generators.BUILT_IN, "discs")
    with pytest.raises(ConfigError, match=r"unknown generator 'discs', known: pastes"):
        find_generator("discs")
    named = tmp_path / "discs-1.dist-info"
    named.mkdir()
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: discs\nVersion: 1\n", encoding="utf-8")
    (named / "entry_points.txt").write_text(f"[detent.generators]\ndiscs = {__name__}:GENERATOR\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_generator("discs") is GENERATOR
    summary, _ = make(tmp_path / "out")
    assert summary.num_by_generator == {"discs": 10}


def test_what_is_no_generator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generators.BUILT_IN, "discs", f"{__name__}:COLOURS")
    with pytest.raises(ConfigError, match="generator 'discs' is Source"):
        find_generator("discs")
