"""Any image is made again from its row, alone and bit for bit; whatever has changed since is named."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.core import manifest
from components.core.digests import digest_json, sample_id
from components.core.errors import DataError, IntegrityError
from components.core.files import read_json, write_json
from components.synthesis import provenance
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import synthesise
from components.synthesis.pastes import lot
from components.synthesis.picture.pictures import encode_png
from components.synthesis.provenance import Origin, Remaker, find_row, read_recipe, remake

CONFIG = SynthesisConfig(num_per_class=6, size_px=32)


def picture(colour: tuple[int, int, int]) -> bytes:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[8:32, 12:28] = colour
    return encode_png(pixels)


def write(folder, images: dict[str, bytes]):
    rows = [
        {"sample_id": sample_id(data), "label": label, "image": {"bytes": data, "path": f"{label}.png"}}
        for label, data in images.items()
    ]
    manifest.write_shard(folder / "shard-00000.parquet", rows)


@pytest.fixture
def origin(tmp_path):
    write(tmp_path / "catalog", {"pear": picture((90, 160, 40)), "plum": picture((90, 20, 90))})
    write(tmp_path / "backgrounds", {"a": picture((9, 9, 9)), "b": picture((200, 190, 9)), "c": b"broken"})
    return Origin(catalog=tmp_path / "catalog", backgrounds=tmp_path / "backgrounds")


@pytest.fixture
def made(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setattr(lot, "ROWS_PER_SHARD", 5)
    synthesise(origin.catalog, origin.backgrounds, CONFIG, out=tmp_path / "out", seed=7)
    return tmp_path / "out"


def test_every_image_is_made_again_alone(made, origin):
    remaker = Remaker.open(made, origin)
    rows = manifest.read(made).to_pylist()
    assert len(rows) == 12
    for row in rows[::-1]:
        assert remaker.remake(row["sample_id"]) == row["image"]["bytes"]
    assert remake(rows[0]["sample_id"][:10], made, origin) == rows[0]["image"]["bytes"]


def test_drawn_backgrounds_need_no_folder(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")
    synthesise(origin.catalog, None, CONFIG, out=tmp_path / "drawn", seed=7)
    row = manifest.read(tmp_path / "drawn").to_pylist()[3]
    assert remake(row["sample_id"], tmp_path / "drawn", Origin(catalog=origin.catalog, backgrounds=None))


def test_a_picture_that_was_exchanged_is_named(made, origin):
    rows = manifest.read(origin.catalog).to_pylist()
    rows[0]["image"]["bytes"] = picture((1, 2, 3))
    manifest.write_shard(origin.catalog / "shard-00000.parquet", rows)
    with pytest.raises(IntegrityError, match=f"asset {rows[0]['sample_id']} has the digest"):
        Remaker.open(made, origin)


def test_assets_that_are_gone_or_new_are_named(made, origin):
    write(origin.backgrounds, {"a": picture((9, 9, 9)), "c": b"broken"})
    with pytest.raises(IntegrityError, match=r"1 assets of the recipe are gone: background .*\(photo\).*DVC"):
        Remaker.open(made, origin)
    both = {"a": picture((9, 9, 9)), "b": picture((200, 190, 9)), "c": b"broken", "d": picture((1, 1, 1))}
    write(origin.backgrounds, both)
    with pytest.raises(IntegrityError, match="1 assets are there that the recipe does not name"):
        Remaker.open(made, origin)


def test_another_processor_or_version_is_named_when_other_bytes_come_out(made, origin, monkeypatch):
    path = made / "pastes-00000.parquet"
    table = pq.read_table(path)
    wrong = ["0" * 32, *table["sample_id"].to_pylist()[1:]]
    manifest.write_table(path, table.set_column(table.schema.get_field_index("sample_id"), "sample_id", [wrong]))
    with pytest.raises(IntegrityError, match=r"other bytes came out \(the code has changed since"):
        remake("0" * 32, made, origin)
    found = provenance.plan_synthesis

    def elsewhere(*args, **kwargs):
        plan = found(*args, **kwargs)
        plan.recipe["made_with"]["processor"] = "riscv64"
        return plan

    monkeypatch.setattr(provenance, "plan_synthesis", elsewhere)
    with pytest.raises(IntegrityError, match=r"processor .* then, riscv64 now"):
        remake("0" * 32, made, origin)


def test_rows_and_recipe_belong_together(made, origin):
    row = manifest.read(made).to_pylist()[0]
    recipe = read_json(made / "recipe.json")
    write_json(made / "recipe.json", recipe | {"comment": "edited"})
    with pytest.raises(IntegrityError, match="another recipe"):
        remake(row["sample_id"], made, origin)
    write_json(made / "recipe.json", {"seed": 1})
    with pytest.raises(DataError, match="lacks"):
        read_recipe(made)
    (made / "recipe.json").unlink()
    with pytest.raises(DataError, match="nobody knows"):
        remake(row["sample_id"], made, origin)


@pytest.mark.parametrize(("name", "fault"), [("f" * 32, "is no sample of"), ("abc", "8 to 32"), ("", "8 to 32")])
def test_unknown_samples_are_named(made, name, fault):
    with pytest.raises(DataError, match=fault):
        find_row(made, name)


def test_a_row_says_where_it_stands(made):
    place = find_row(made, manifest.read(made)["sample_id"][7].as_py())
    assert place.shard.name == "pastes-00001.parquet" and (place.recipe["shard"], place.recipe["index"]) == (1, 2)
    assert json.dumps(dict(place.recipe))


def test_images_of_before_generators_were_a_list_are_made_again(made, origin):
    recipe = read_json(made / "recipe.json")
    pastes = recipe["config"].pop("generators")["pastes"]
    older = recipe | {"version": 1, "config": recipe["config"] | {"pastes": pastes, "render_share": 0.5}}
    del older["generators"]
    for asset in older["assets"]:
        del asset["drawn"]
    write_json(made / "recipe.json", older)
    for path in made.glob("*.parquet"):
        table = pq.read_table(path)
        told = [json.dumps(json.loads(row) | {"recipe": digest_json(older)}) for row in table["recipe"].to_pylist()]
        manifest.write_table(path, table.set_column(table.schema.get_field_index("recipe"), "recipe", [told]))
    row = manifest.read(made).to_pylist()[0]
    assert remake(row["sample_id"], made, origin) == row["image"]["bytes"]
