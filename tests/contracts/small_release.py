"""Two small releases on drawn data, and a digest of everything in them that must stay as it is.

The first release makes a champion, which is approved; the second holds other candidates against it and ends in a
proposal that waits. `digests` names what must not change when code is moved about: every column of every manifest,
who stands in which split, each synthetic image, all weights, verdicts, Decisions and looks. What may change without
anybody being wronged is left out on purpose:

- files as such: other columns and other files may come to stand beside those that are digested;
- times (of all entries, two differed between two runs in processes of their own: the family's members' `latency_ms`
  and `seconds`), paths, MLflow's run ids, and the Bento, whose tag is the time and whose bytes hold the code;
- digests of code, and those of models, data sets and recipes, which may come to cover more than they do (their
  content stands here for itself);
- recipe.json's settings, which may be laid out otherwise: the images that they lead to are digested one by one.

Run it with `PYTHONPATH=. .venv/bin/python -m tests.contracts.small_release FOLDER`; with `--record` it also writes
recorded.json. Every random number comes from a seed, and one thread computes, so that a processor of the same kind
gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

# all of the product that this module knows; what runs a release is imported where it is used, since Prefect reads the
# environment when it is imported
from components.core.files import write_text
from components.core.settings import Settings, prepare_environment
from components.core.workspace import Workspace

RECORDED, OUTCOME = Path(__file__).with_name("recorded.json"), "outcome.json"
CLASSES = {"ball": (190, 70, 60), "box": (70, 150, 80), "can": (70, 90, 180)}
NUM_PHOTOS = 72  # of each class
PHOTO_PX = 40
TIMES = ("latency_ms", "seconds")
FIRST: dict[str, Any] = {
    "plain": {"widths": [8, 16], "blocks": [1, 1], "epochs": 4, "learning_rate": 0.01},
    "synthetic": {"widths": [8, 16], "blocks": [1, 1], "epochs": 2, "learning_rate": 0.01, "use": "synthetic"},
}
SECOND: dict[str, Any] = {
    "longer": {**FIRST["plain"], "epochs": 9},
    "contained": {**FIRST["plain"], "epochs": 4, "treatment": "contained"},
    "taught": {**FIRST["plain"], "epochs": 3, "distill_weight": 1.0, "flip_limit": 0.05},
}
FAMILY: dict[str, Any] = {
    "widths": [[4, 8], [8, 16]],
    "depths": [[1], [1, 2]],
    "sizes_px": [24, 32],
    "epochs": 2,
    "learning_rate": 0.02,
    "evaluations": 6,
    "candidates": 1,
}
PARAMS: dict[str, Any] = {
    "workload": "products",
    "catalog": "small",
    "validation": {
        "shares": {"train": 0.4, "search": 0.25, "certify": 0.35},
        "small_side_px": 16,
        "share_tolerance": 0.5,
    },
    "synthesis": {
        "num_per_class": 8,
        "size_px": 32,
        "generators": {
            "renders": {"share": 0.5, "views_per_model": 1, "lights_per_view": 8, "num_paths": 4},
            "wraps": {"share": 0.25},
        },
    },
    "training": {"size_px": 32, "batch": 16, "flip_target": 0.1, "precision": "float32", "device": "cpu"},
    "selection": {
        "policy": {
            "limit": 0.3,
            "slices": {"columns": ["s_class"], "limit": 0.5, "min_n": 20},
            "improvement": {"rule": "non-inferior", "margin": 0.2},
            "bootstrap_accuracy": 0.3,
        }
    },
    "packaging": {"parity_samples": 8},
    "approval": {"name": "contracts", "auto": False, "expires_after_h": 1_000_000.0},
    "people": {"named": {"rita": {"roles": ["release manager"]}}},
}
CUBE = """mtllib box.mtl
v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
usemtl green
f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8
"""


def main(arguments: list[str]) -> int:
    """`FOLDER [--record]`: run both releases below FOLDER in a process of its own and write down what came of them."""
    folder = Path(arguments[0]).resolve()
    if arguments[1:] == ["--here"]:
        (folder / OUTCOME).write_text(json.dumps(release_twice(folder)), encoding="utf-8")
        return 0
    outcome = release_in_a_process(folder)
    text = json.dumps({"made_with": made_with(), **outcome}, indent=1, sort_keys=True) + "\n"
    (RECORDED if arguments[1:] == ["--record"] else folder / OUTCOME).write_text(text, encoding="utf-8")
    return 0


def release_in_a_process(folder: Path) -> dict[str, Any]:
    """Run both releases with one thread and a home of their own below `folder`; returns `release_twice`'s answer."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.contracts.small_release", str(folder), "--here"]
    own = {**os.environ, **environment(folder)}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the small release failed: {done.stderr[-4000:]}")
    outcome: dict[str, Any] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    return outcome


def environment(folder: Path) -> dict[str, str]:
    """What a process has to have set before it imports anything, for a release below `folder`."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return threads | {
        "DETENT_HOME": str(folder / "home"),
        "DETENT_WORKSPACE": str(folder / "workspace"),
        "DETENT_ACTOR": "rita",
        "DETENT_ENGINE": "local",
        "DETENT_RENDER_BACKEND": "scalar",
        "PREFECT_HOME": str(folder / "home" / "prefect"),
        "BENTOML_HOME": str(folder / "home" / "bentoml"),
    }


def release_twice(folder: Path) -> dict[str, Any]:
    """Release, approve, release again as far as the decisions; returns `digests` and `figures` of both.

    Their names begin with the release's, `first` or `second`.
    """
    prepare_environment(Settings())
    from components.workloads.products.workload import WORKLOAD
    from flows.commands.decide import approve_proposal
    from flows.commands.run import run_release
    from flows.layout import filled_params, lay_out

    workspace = Workspace.from_settings(Settings())
    lay_out(workspace.root, WORKLOAD, git=False)
    write_text(workspace.params, filled_params(WORKLOAD, with_training(candidates=FIRST)))
    run_release("release", sources=draw_sources(folder / "sources"))
    kept = {f"first/{name}": value for name, value in digests(workspace).items()}
    told = {f"first/{name}": value for name, value in figures(workspace).items()}
    approve_proposal(1, reason="it is the first")
    write_text(workspace.params, filled_params(WORKLOAD, with_training(candidates=SECOND, family=FAMILY)))
    run_release("selection")
    kept |= {f"second/{name}": value for name, value in digests(workspace).items()}
    told |= {f"second/{name}": value for name, value in figures(workspace).items()}
    return {"digests": kept, "figures": told}


def with_training(**changes: Any) -> dict[str, Any]:
    """The parameters of a release whose training section differs by these."""
    return {**PARAMS, "training": {**PARAMS["training"], **changes}}


def draw_sources(folder: Path) -> dict[str, str]:
    """Draw catalogue (pictures, a model), photos and backgrounds below `folder`; returns their addresses by name."""
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(15)
    for name in CLASSES:
        for kind in ("catalog", "photos"):
            (folder / kind / name).mkdir(parents=True)
        if name != "box":  # which has a model
            ground = Image.new("RGB", (48, 48), (255, 255, 255))
            draw_shape(name, ground, (8, 10), 30).save(folder / "catalog" / name / "front.png")
        for number in range(NUM_PHOTOS):
            left, top, side = (int(value) for value in rng.integers((1, 1, 14), (14, 14, 24)))
            shape = draw_shape(name, draw_ground(PHOTO_PX, rng), (left, top), side)
            shade = Image.new("RGB", shape.size, tuple(int(value) for value in rng.integers(0, 256, 3)))
            photo = Image.blend(shape, shade, int(rng.integers(0, 5)) / 8)
            photo.save(folder / "photos" / name / f"{number:03d}.jpg", quality=85)
    (folder / "catalog" / "box" / "box.obj").write_text(CUBE, encoding="utf-8")
    (folder / "catalog" / "box" / "box.mtl").write_text("newmtl green\nKd 0.1 0.4 0.15\n", encoding="utf-8")
    (folder / "backgrounds").mkdir()
    for number in range(3):
        draw_ground(64, rng).save(folder / "backgrounds" / f"{number}.jpg", quality=85)
    return {name: str(folder / name) for name in ("catalog", "photos", "backgrounds")}


def draw_ground(side_px: int, rng: np.random.Generator) -> Image.Image:
    """Soft blotches; whole numbers alone are drawn, so that they are the same everywhere."""
    blotches = rng.integers(40, 216, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(blotches).resize((side_px, side_px), Image.Resampling.BILINEAR)


def draw_shape(name: str, image: Image.Image, corner: tuple[int, int], side: int) -> Image.Image:
    """The product's shape in its colour, on the image."""
    (left, top), pen = corner, ImageDraw.Draw(image)
    box = (left, top, left + side, top + side)
    pen_of = {"ball": pen.ellipse, "box": pen.rectangle, "can": pen.rounded_rectangle}
    pen_of[name](box, fill=CLASSES[name])
    return image


def made_with() -> dict[str, str]:
    """What float bits depend on: the kind of processor, and the packages that compute."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    units = [
        unit
        for unit in ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
        if unit in told.get("flags", "").split()
    ]
    packages = ("torch", "numpy", "pillow", "opencv-python-headless", "mitsuba", "trimesh", "scipy", "optuna")
    processor = " ".join([platform.machine(), told.get("vendor_id", "unknown"), *units])
    return {"processor": processor, **{name: version(name) for name in packages}}


def is_everywhere(name: str) -> bool:
    """Whether an entry of `digests` needs no arithmetic of networks or images, and so is the same on any machine."""
    return name.split("/")[1] in ("sources", "validation", "ledger")


def digests(workspace: Workspace) -> dict[str, str]:
    """What the last release in a workspace made, as a digest of each part's content by a name that says which."""
    data = workspace.data
    found: dict[str, str] = {}
    for name in ("catalog", "catalog/models", "photos", "backgrounds"):
        found |= of_rows(f"sources/{name}", data / name)
    for name in ("catalog", "catalog/models", "backgrounds", *(f"photos/{s}" for s in ("train", "search", "certify"))):
        found |= of_rows(f"validation/{name}", data / "validation" / name)
    found["validation/classes"] = digest(json.loads((data / "validation" / "classes.json").read_text()))
    found |= of_rows("validation/placement", data / "placement")
    found |= of_rows("synthesis/images", data / "synthesis")
    found.pop("synthesis/images/recipe", None)  # names the digest of recipe.json, which may come to hold more
    recipe = json.loads((data / "synthesis" / "recipe.json").read_text())
    found |= {f"synthesis/recipe/{name}": digest(recipe[name]) for name in ("seed",)}
    for folder in sorted((data / "training").glob("*/model")):
        found |= of_model(f"training/{folder.parent.name}", folder)
    for table in sorted((data / "training").glob("family/*.parquet")):
        members = pq.read_table(table)
        timed = [name for name in TIMES if name in members.column_names]
        found |= of_table(f"training/family/{table.stem}", members.drop_columns(timed), key="")
    for table in sorted((data / "selection" / "verdicts").glob("*.parquet")):
        found |= of_table(f"selection/verdicts/{table.stem}", pq.read_table(table))
    for path in sorted((data / "selection").glob("*.decision.json")):
        found |= of_decision(f"selection/decisions/{path.name.split('.')[0]}", json.loads(path.read_text()))
    found["selection/winner"] = digest(json.loads((data / "selection" / "winner.json").read_text())["candidate"])
    return found | of_journal(workspace.home / "journal.db")


def figures(workspace: Workspace) -> dict[str, float | str]:
    """What a person reads of a release: each table's accuracy on search, each candidate's outcome."""
    folder = workspace.data / "selection"
    told: dict[str, float | str] = {}
    for table in sorted((folder / "verdicts").glob("*.parquet")):
        verdict = pq.read_table(table)["verdict"].to_numpy()
        told[f"accuracy/{table.stem}"] = round(float((verdict == 1).mean()), 4)
    for path in sorted(folder.glob("*.decision.json")):
        told[f"outcome/{path.name.split('.')[0]}"] = json.loads(path.read_text())["outcome"]
    return told


def of_rows(name: str, folder: Path) -> dict[str, str]:
    """The columns of a manifest, all its shards together; nothing where there is no such manifest."""
    shards = sorted(folder.glob("*.parquet"))
    return (
        of_table(name, pa.concat_tables([pq.read_table(path) for path in shards], promote_options="permissive"))
        if shards
        else {}
    )


def of_table(name: str, table: pa.Table, *, key: str = "sample_id") -> dict[str, str]:
    """The columns of a table by their names, whatever the order of its rows if they have a key."""
    columns = {column: [content(value) for value in table[column].to_pylist()] for column in table.column_names}
    keys = columns[key] if key in columns else [f"{number:09d}" for number in range(table.num_rows)]
    return {
        f"{name}/{column}": digest(sorted(zip(keys, map(json.dumps, values), strict=True)))
        for column, values in columns.items()
    }


def content(value: Any) -> Any:
    """A cell as JSON: bytes by their digest, and a row's recipe as whose image it is and its place."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return {name: content(item) for name, item in value.items()}
    if isinstance(value, list):
        return [content(item) for item in value]
    if isinstance(value, str) and value.startswith('{"generator"'):
        return {name: item for name, item in json.loads(value).items() if name not in ("recipe", "version")}
    return value


def of_model(name: str, folder: Path) -> dict[str, str]:
    """A model's weights, bit for bit, and what its card says it is."""
    card = json.loads((folder / "model.json").read_text())
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return {f"{name}/weights": weights} | {
        f"{name}/{part}": digest(card[part]) for part in ("architecture", "classes", "input")
    }


def of_decision(name: str, value: dict[str, Any]) -> dict[str, str]:
    """A Decision field by field, without digests: its own, and those by which its looks name models."""
    budget = value.get("budget") or {}
    budget["looks"] = [without(look, ("candidate", "champion")) for look in budget.get("looks", [])]
    return {
        f"{name}/{field}": digest(item) for field, item in {**value, "budget": budget}.items() if field != "digests"
    }


def of_journal(path: Path) -> dict[str, str]:
    """The looks in the journal, and every row's kind with the champion's version."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT kind, details FROM detent_journal ORDER BY sequence").fetchall()
    told = [(kind, json.loads(details)) for kind, details in rows]
    splits = [[row["num_ids"], row["fresh"]] for kind, row in told if kind == "split"]
    looks = [[row["number"], row["level"], row["mode"]] for kind, row in told if kind == "look"]
    return {
        "ledger/splits": digest(splits),
        "ledger/levels": digest(looks),
        "journal/answers": digest([[row["number"], row["promoted"]] for kind, row in told if kind == "answer"]),
        "journal/kinds": digest([kind for kind, _ in told]),
        "journal/champions": digest([row["to"]["version"] for kind, row in told if kind == "promoted"]),
    }


def without(value: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A mapping without some of its names."""
    return {name: item for name, item in value.items() if name not in names}


def digest(value: Any) -> str:
    """The first 32 digits of the sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
