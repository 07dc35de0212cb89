"""Where the synthesis benchmark keeps its work, what it makes images of, and how a run of the generator is timed.

Everything lies below `$DETENT_HOME/bench/synthesis` (`synthesis-short` when SHORT=1), so that a killed run goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core.files import write_json
from components.datasets import meshes
from components.datasets.sources import ingest, ingest_nothing
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import plan_synthesis
from components.synthesis.runs.shards import fill_shards
from components.workloads.products import workload as products
from tests.benchmarks.figures import SHORT, Figure

HOME = Path(os.environ.get("DETENT_HOME", ".detent")).resolve() / "bench" / f"synthesis{'-short' if SHORT else ''}"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
GROCERY, FURNITURE, BACKGROUNDS = SHARED / "grocery", SHARED / "furniture", SHARED / "backgrounds"
SEED = 0
TRANSFERS = HOME / "cache"


@dataclass(frozen=True, kw_only=True)
class Made:
    """One run of the generator: how many images in which seconds, and what was traced for it before."""

    num_images: int
    num_traced: int
    trace_s: float
    fill_s: float

    @property
    def per_s(self) -> float:
        """Images a second from the order to the last shard on disk: start of the processes, labels, all."""
        return self.num_images / self.fill_s


def require_data() -> None:
    """Leave with a message where the photos and models of the benchmark are not there."""
    missing = [str(folder) for folder in (GROCERY, FURNITURE, BACKGROUNDS) if not folder.is_dir()]
    if missing:
        sys.exit(
            f"{', '.join(missing)} is missing: get the Grocery Store Dataset (github.com/marcusklasson/"
            "GroceryStoreDataset), the models of the AWS RoboMaker small house world, and photos of rooms"
        )


def make_images(catalog: Path, config: Mapping[str, Any], *, out: Path, seed: int = SEED) -> Made:
    """What `synthesise` does, with tracing and filling timed apart; `config` is a `synthesis` section."""
    wanted = SynthesisConfig.model_validate(config)
    plan = plan_synthesis(catalog, backgrounds(), wanted, seed=seed, cache=TRANSFERS)
    images, traced, trace_s, fill_s = 0, 0, 0.0, 0.0
    for lot in plan.lots:
        started = time.perf_counter()
        traced += lot.prepare()
        trace_s += time.perf_counter() - started
        started = time.perf_counter()
        fill_shards(out, lot.job, recipe=plan.recipe, num_shards=lot.num_shards, title=lot.title, prefix=lot.generator)
        fill_s += time.perf_counter() - started
        images += lot.num_images
    return Made(num_images=images, num_traced=traced, trace_s=trace_s, fill_s=fill_s)


def make_afresh(catalog: Path, config: Mapping[str, Any], *, seed: int = SEED) -> Made:
    """The same into a folder of its own, which is removed again, for its time alone."""
    out = HOME / "timed"
    shutil.rmtree(out, ignore_errors=True)
    made = make_images(catalog, config, out=out, seed=seed)
    shutil.rmtree(out)
    return made


def models(names: Sequence[str]) -> Path:
    """A catalogue of furniture models, each a class of its own."""
    files = [FURNITURE / f"{name}.glb" for name in names]
    found = [meshes.store(path.name, path.read_bytes(), [], label=path.stem, licence="MIT-0") for path in files]
    return _once(f"models-{len(files)}", lambda out: _write_catalogue(out, found))


def furniture() -> list[str]:
    """The names of all furniture models."""
    return sorted(path.stem for path in FURNITURE.glob("*.glb"))


def icons() -> Path:
    """The catalogue of the grocery shop: 81 classes, a picture of each on white."""
    return _once("icons", lambda out: ingest(str(GROCERY / "catalog"), out=out, source=products.CATALOG))


def mixed(num_pictured: int, names: Sequence[str]) -> Path:
    """A catalogue of some classes with a picture and some with a model."""

    def write(out: Path) -> None:
        chosen = HOME / "chosen"
        for folder in sorted((GROCERY / "catalog").iterdir())[:num_pictured]:
            shutil.copytree(folder, chosen / folder.name, dirs_exist_ok=True)
        ingest(str(chosen), out=out, source=products.CATALOG)
        shutil.rmtree(chosen)
        files = [FURNITURE / f"{name}.glb" for name in names]
        found = [meshes.store(path.name, path.read_bytes(), [], label=path.stem, licence="MIT-0") for path in files]
        meshes.write_models(out / meshes.FOLDER, found)

    return _once(f"mixed-{num_pictured}-{len(names)}", write)


def backgrounds() -> Path:
    """The photos of rooms that everything is set in."""
    return _once("backgrounds", lambda out: ingest(str(BACKGROUNDS), out=out, source=products.BACKGROUNDS))


def remembered(path: Path, measure: Callable[[], Any]) -> Any:
    """What an earlier, killed run measured already, or the measurement made now; any JSON value."""
    if not path.is_file():
        write_json(path, {"value": measure()})
    return json.loads(path.read_text(encoding="utf-8"))["value"]


def remembered_figures(part: str, measure: Callable[[], Sequence[Figure]]) -> list[Figure]:
    """The figures of a part of the benchmark, measured once."""
    rows = remembered(HOME / f"{part}.json", lambda: [asdict(figure) for figure in measure()])
    return [Figure(**row) for row in rows]


def met(reached: bool) -> bool | None:
    """Whether a goal is met; a short run leaves that open."""
    return None if SHORT else reached


def _once(name: str, write: Callable[[Path], Any]) -> Path:
    """The manifest folder of a name below HOME, written whole or not at all."""
    out = HOME / "data" / name
    if not (out / "done.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        write(out)
        write_json(out / "done.json", {})
    return out


def _write_catalogue(out: Path, found: Sequence[meshes.StoredModel]) -> None:
    ingest_nothing(out, products.CATALOG)
    meshes.write_models(out / meshes.FOLDER, found)
