"""Assets are sorted into what can be used and what cannot, each with its reason; a class without any is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError
from components.datasets.meshes import StoredModel, store, write_models
from components.synthesis.config import SynthesisConfig
from components.synthesis.generators import find_generator
from components.synthesis.lots import deal
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.picture.pictures import encode_png
from components.synthesis.renders.stock import MODELS, PANORAMAS, open_model
from components.synthesis.stock import Stock

FACES = b"f 1/1 3/1 2/1\nf 1/1 2/1 4/1\nf 2/1 3/1 4/1\nf 1/1 4/1 3/1\n"
CONE = b"v 0 0 0\nv 0.3 0 0\nv 0 0.3 0\nv 0.1 0.1 0.3\nvt 0 0\n" + FACES
MTL = b"newmtl skin\nKd 1 1 1\nmap_Kd skin.png\n"


def picture() -> bytes:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    cv2.circle(pixels, (20, 20), 12, (160, 60, 40), -1)
    return encode_png(pixels)


def model(
    name: str, data: bytes = CONE, *, label: str = "cone", sides: tuple[tuple[str, bytes], ...] = ()
) -> StoredModel:
    return store(name, data, sides, label=label, licence="CC0")


def read(
    folder: Path, models: list[StoredModel], pictures: tuple[str, ...] = ("ball",), renders: dict | None = None
) -> Stock:
    image = {"bytes": picture(), "path": "ball.png"}
    rows = [{"sample_id": sample_id(picture()), "label": label, "image": image} for label in pictures]
    manifest.write_shard(folder / "catalog" / "shard-00000.parquet", rows)
    write_models(folder / "catalog" / "models", models)
    config = SynthesisConfig.model_validate({"size_px": 32, "generators": {"renders": renders or {}}})
    return Stock(catalog=folder / "catalog", backgrounds=None, terms=config.terms(0))


def shown(stock: Stock) -> set[str]:
    """The classes that images are dealt out of."""
    return {
        label for counts in deal(stock, [find_generator(n) for n in stock.terms.sections]).values() for label in counts
    }


def test_models_are_loaded_beside_pictures_and_broken_ones_are_named(tmp_path: Path) -> None:
    broken = model("cone/empty.obj", b"v 0 0 0\n")
    stock = read(tmp_path, [model("cone/good.obj"), broken])
    assert shown(stock) == {"ball", "cone"} and list(stock.read(PICTURES).items) == ["ball"]
    (solid,) = stock.read(MODELS).items["cone"]
    assert solid.asset.sample_id == sample_id(CONE) and solid.model.size_m[2] == pytest.approx(0.3)
    (doubt,) = [item for item in stock.doubtful if not item.used]
    assert doubt.sample_id == broken.sample_id and "faces" in doubt.sentence and "empty.obj" in doubt.sentence
    assert {(a.name, a.used) for a in stock.assets if a.role == "model"} == {
        ("cone/good.obj", True),
        ("cone/empty.obj", False),
    }
    assert {a.licence for a in stock.assets if a.role == "model"} == {"CC0"}


def test_a_packed_model_finds_its_texture(tmp_path: Path) -> None:
    texture = encode_png(np.full((8, 8, 3), (200, 30, 60), np.uint8))
    sides = (("looks/x.mtl", MTL), ("skin.png", texture))
    packed = model("cone/x.obj", b"mtllib looks/x.mtl\nusemtl skin\n" + CONE, sides=sides)
    surface = open_model(packed).surfaces[0]
    assert packed.kind == "zip" and surface.material.base_texture is not None
    np.testing.assert_array_equal(surface.material.base_texture[0, 0, :3], (200, 30, 60))


def test_a_class_of_which_nothing_can_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is left for cone .*cone/empty\.obj has no faces"):
        shown(read(tmp_path, [model("cone/empty.obj", b"v 0 0 0\n")]))


def test_the_same_model_under_two_labels_is_of_neither(tmp_path: Path) -> None:
    twice = [model("cone/x.obj"), model("pyramid/x.obj", label="pyramid")]
    with pytest.raises(DataError, match=r"is left for cone, pyramid .*same bytes stand under the labels cone, pyramid"):
        shown(read(tmp_path, twice))


def test_models_of_pictured_classes_stay_unread_when_no_renders_are_wanted(tmp_path: Path) -> None:
    stock = read(
        tmp_path, [model("ball/empty.obj", b"v 0 0 0\n", label="ball"), model("cone/x.obj")], renders={"share": 0}
    )
    assert list(stock.read(MODELS).items) == ["cone"] and not [item for item in stock.doubtful if not item.used]
    assert {(a.name, a.used) for a in stock.assets if a.role == "model"} == {
        ("ball/empty.obj", False),
        ("cone/x.obj", True),
    }


def test_a_catalogue_may_hold_models_alone_but_not_nothing(tmp_path: Path) -> None:
    assert shown(read(tmp_path, [model("cone/x.obj")], pictures=())) == {"cone"}
    with pytest.raises(DataError, match="has no rows"):
        shown(read(tmp_path, [], pictures=()))


def test_a_panorama_that_is_not_there_is_named(tmp_path: Path) -> None:
    lights = {"panoramas": ["/nowhere/sky.hdr"], "shares": {"panorama": 1.0}}
    with pytest.raises(DataError, match=r"/nowhere/sky\.hdr cannot be read"):
        read(tmp_path, [model("cone/x.obj")], renders={"lights": lights}).read(PANORAMAS)
