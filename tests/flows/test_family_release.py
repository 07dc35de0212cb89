"""A release with a family and targets through the real flow, around an incumbent; the tests read what it left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from components.core.files import read_json
from components.core.settings import Settings
from components.core.stages import read_report
from components.core.workspace import Workspace
from components.models.artefacts import LoadedModel, ModelSpec, load_model, save_model
from components.models.foreign.adapters import Adapted
from components.models.identity import model_digest
from components.models.networks.costs import count_multiply_adds
from components.models.networks.merging import Merged, pool
from components.models.networks.registry import build_network
from components.models.networks.slicing import check_contained
from components.models.networks.subnets import from_genotype
from components.models.networks.supernets import load_supernet
from components.models.prediction import normalise
from components.packaging.building import find_bento
from components.selection.search.search import read_rows
from components.serving.identity import MODEL_FOLDER
from components.tracking.registry import DIGEST
from components.tracking.runs import PARENT, Tracker
from flows.answers import Answer
from flows.commands.run import run_release
from flows.commands.status import read_status
from tests.flows.drawn import PARAMS, PRODUCTS, draw_product, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
SMALLEST = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
FAMILY: dict[str, Any] = {
    "widths": [[4, 8], [8, 16]],
    "depths": [[1], [1, 2]],
    "sizes_px": [16, 24],
    "epochs": 5,
    "learning_rate": 0.02,
    "evaluations": 12,
}
ALONE = 1.05 * count_multiply_adds(build_network(SMALLEST), 24)  # too little to hold the incumbent
TARGETS: list[dict[str, Any]] = [
    {"name": "server", "flip_limit": 0.02},
    {"name": "phone", "multiply_adds": ALONE, "flip_limit": 0.4},
]
LENIENT = {"limit": 0.5, "slices": {"columns": []}, "improvement": {"rule": "non-inferior", "margin": 0.45}}
BY_THE_BENTO = """
import sys
from pathlib import Path
import numpy as np
import torch
import components
from components.models.artefacts import load_model
torch.set_num_threads(1)
images = torch.from_numpy(np.load(sys.argv[2]))
with torch.inference_mode():
    np.save(sys.argv[3], load_model(Path(sys.argv[1])).network(images).numpy())
print(components.__file__)
"""


def draw_faint(name: str, rng: np.random.Generator) -> Image.Image:
    """A product that hardly stands out of its ground, under a tinted light: a tiny network errs on some."""
    product = np.asarray(draw_product(name, rng, photo=True), np.float64)
    ground = rng.integers(60, 200, product.shape)
    seen = 0.3 * product + 0.7 * ground + rng.integers(-25, 26, 3)
    return Image.fromarray(seen.clip(0, 255).astype(np.uint8))


def draw_faint_photos(folder: Path, num: int = 70) -> None:
    """Photos in place of those that are drawn for other releases."""
    rng = np.random.default_rng(11)
    for name in PRODUCTS:
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
        for number in range(num):
            draw_faint(name, rng).save(folder / name / f"{number}.jpg", quality=92)


def train_incumbent(folder: Path) -> Path:
    """A model from elsewhere that has seen few pictures, so that it errs now and then."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(7)
    drawn = [np.asarray(draw_faint(list(PRODUCTS)[index % 3], rng).resize((24, 24))) for index in range(96)]
    spec = ModelSpec(architecture=SMALLEST, classes=tuple(PRODUCTS), size_px=24)
    images = normalise(torch.from_numpy(np.stack(drawn)), spec)
    labels = torch.arange(96) % 3
    network = build_network(SMALLEST).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    save_model(folder, network.eval(), spec)
    return folder


@pytest.fixture(scope="module")
def told(release: tuple[Workspace, dict[str, str]]) -> tuple[Workspace, Answer]:
    """One release with a family alone; all that follows reads what it left."""
    workspace, sources = release
    write_params(
        workspace,
        validation={**PARAMS["validation"], "shares": {"train": 0.4, "search": 0.3, "certify": 0.3}},
        synthesis={**PARAMS["synthesis"], "num_per_class": 2},
        training={**PARAMS["training"], "precision": "float32", "candidates": {}, "family": FAMILY},
        selection={"policy": LENIENT, "targets": TARGETS},
    )
    draw_faint_photos(Path(str(sources["photos"])))
    incumbent = train_incumbent(workspace.home / "theirs")
    return workspace, run_release("release", sources=sources, incumbent=str(incumbent))


@pytest.fixture(scope="module")
def runs(told: tuple[Workspace, Answer]) -> tuple[Tracker, dict[str, Any]]:
    """The store, opened anew, and its runs by name."""
    tracker = Tracker.open(Settings().mlflow_address, home=told[0].home)
    found = tracker.client.search_runs([tracker.experiment_id])
    return tracker, {run.info.run_name: run for run in found}


def members(workspace: Workspace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(workspace.stage("training") / "family" / "members.parquet").to_pylist()
    return rows


def model_of(workspace: Workspace, name: str) -> LoadedModel:
    return load_model(workspace.stage("training") / name / "model")


def by_its_slice(workspace: Workspace, model: LoadedModel, images: Tensor) -> Tensor:
    """A finalist's logits, its part of the family answered by the slice of the supernet on disk.

    The slice's weights must be the finalist's bytes; its statistics, recalibrated, are laid into the supernet.
    """
    supernet, _ = load_supernet(workspace.stage("training") / "family" / "supernet")
    genotype = model.spec.recipe["family"]["genotype"]
    chosen = from_genotype(supernet.space, {name: genotype[name] for name in supernet.space.genes})
    part = model.network.outer if isinstance(model.network, Merged) else model.network
    alone = part.inner if isinstance(part, Adapted) else part
    assert isinstance(alone, nn.Module)
    check_contained(supernet.slice_state(chosen), alone.state_dict())
    supernet.share(alone.state_dict())
    with torch.inference_mode():
        own: Tensor = supernet(images, chosen)
        if not isinstance(model.network, Merged):
            return own
        old = load_model(workspace.baseline / "incumbent").network(images)
        pooled = pool(old, own, model.network.share)
        pooled[torch.arange(len(images)), old.argmax(dim=1)] += model.network.bias
    return pooled


def test_a_member_is_chosen_for_each_target_certified_and_packaged(told: tuple[Workspace, Answer]) -> None:
    workspace, answer = told
    assert answer.exit_code == 0 and answer.value["promoted"]
    assert answer.value["decisions"] == {"phone": "PROMOTE", "server": "PROMOTE"}
    served = read_json(workspace.stage("selection") / "targets.json")
    for target in TARGETS:
        name = served[target["name"]]["candidate"]
        assert served[target["name"]]["digest"] == model_of(workspace, name).digest
        assert served[target["name"]]["figures"]["search_negative_flip_rate"] <= target["flip_limit"]
    winner = answer.value["winner"]
    assert answer.value["champion"] == model_of(workspace, winner).digest
    packaged = read_report(workspace.stage("packaging"))
    assert packaged.facts["bento"] == answer.value["bento"] and packaged.metrics["parity_max_difference"] <= 1e-3


def test_what_serves_a_target_is_packaged_and_champion_there(told: tuple[Workspace, Answer]) -> None:
    """Each with a Bento that ships its own model; the winner is packaged once, whomever it serves."""
    workspace, answer = told
    facts = read_report(workspace.stage("packaging")).facts
    champions = read_status().value["targets"]
    for target, told_of in answer.value["targets"].items():
        model = model_of(workspace, told_of["candidate"])
        tag = facts[f"bento for {target}"]
        assert told_of["promoted"] and champions[target]["champion"] == model.digest
        assert champions[target]["bento"] == tag
        shipped = find_bento(workspace.bentos, tag) / "src" / MODEL_FOLDER
        assert model_digest(shipped) == model.digest
        assert (tag == answer.value["bento"]) == (told_of["candidate"] == answer.value["winner"])
    assert answer.value["targets"].keys() == champions.keys() == {"server", "phone"}


def test_each_target_gets_the_most_accurate_within_its_limits(told: tuple[Workspace, Answer]) -> None:
    """By hand from the table, in which some members flip more than is allowed or cost more."""
    workspace, _ = told
    rows = [row for row in members(workspace) if row["within_limits"]]
    finalists = {row["candidate"]: row for row in rows if row["candidate"]}
    for target in TARGETS:
        affordable = [row for row in rows if row["multiply_adds"] <= target.get("multiply_adds", float("inf"))]
        allowed = [row for row in affordable if row["negative_flip_rate"] <= target["flip_limit"]]
        chosen = finalists[target["name"]]
        assert chosen in allowed and chosen["accuracy"] == max(row["accuracy"] for row in allowed)
    better = [row for row in rows if row["accuracy"] > finalists["server"]["accuracy"]]
    assert better and all(row["negative_flip_rate"] > TARGETS[0]["flip_limit"] for row in better), "the limit is felt"
    assert finalists["server"]["multiply_adds"] > ALONE


def test_packaged_it_answers_bit_for_bit_as_its_slice_of_the_supernet(
    told: tuple[Workspace, Answer], tmp_path: Path
) -> None:
    """The Bento's own code and files, run in a process of their own."""
    workspace, answer = told
    images = torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    for name in ("server", "phone"):
        model = model_of(workspace, name)
        given = images[..., : model.spec.size_px, : model.spec.size_px].contiguous()
        expected = by_its_slice(workspace, model, given)
        with torch.inference_mode():
            assert torch.equal(model.network(given), expected)
        if name == answer.value["winner"]:
            asked, wanted = given, expected
    np.save(tmp_path / "images.npy", asked.numpy())
    source = find_bento(workspace.bentos, answer.value["bento"]) / "src"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", BY_THE_BENTO, MODEL_FOLDER, tmp_path / "images.npy", tmp_path / "logits.npy"]
    done = subprocess.run(command, cwd=source, env=own, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(source), "the Bento's own code answered"
    assert np.array_equal(np.load(tmp_path / "logits.npy"), wanted.numpy())


def test_every_evaluated_member_is_a_row_of_a_table_in_mlflow(
    told: tuple[Workspace, Answer], runs: tuple[Tracker, dict[str, Any]], tmp_path: Path
) -> None:
    workspace, _ = told
    tracker, by_name = runs
    run_id = by_name["training"].info.run_id
    kept = pq.read_table(tracker.client.download_artifacts(run_id, "members.parquet", str(tmp_path))).to_pylist()
    (searched,) = workspace.scratch.glob("*.search.jsonl")
    evaluated = {json.dumps(row.genotype, sort_keys=True): row for row in read_rows(searched)}
    genes = list(next(iter(evaluated.values())).genotype)
    told_of = {json.dumps({gene: row[gene] for gene in genes}, sort_keys=True): row for row in kept}
    assert len(kept) == len(told_of) == len(evaluated) and told_of.keys() == evaluated.keys()
    for key, row in evaluated.items():
        figures = (told_of[key]["accuracy"], told_of[key]["negative_flip_rate"])
        assert figures == ((row.accuracy, row.flips) if row.outcome is not None else (None, None))
        assert told_of[key]["multiply_adds"] == row.costs["multiply_adds"]
    outcomes = [row for row in kept if row["within_limits"]]
    assert len(outcomes) == by_name["training"].data.metrics["family.num_evaluated"] >= FAMILY["evaluations"]
    picture = Path(tracker.client.download_artifacts(run_id, "frontier.png", str(tmp_path)))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_each_chosen_member_is_a_run_of_its_own_with_its_model(
    told: tuple[Workspace, Answer], runs: tuple[Tracker, dict[str, Any]], tmp_path: Path
) -> None:
    workspace, _ = told
    tracker, by_name = runs
    versions = {version.tags[DIGEST] for version in tracker.client.search_model_versions("name = 'products-drawn'")}
    rows = {row["candidate"]: row for row in members(workspace) if row["candidate"]}
    for target in TARGETS:
        run = by_name[f"target {target['name']}"]
        served = run.data.tags["detent.served_by"]
        assert run.data.tags[PARENT] == by_name["selection"].info.run_id
        assert run.data.tags["detent.target"] == target["name"]
        assert run.data.tags["detent.model"] == model_of(workspace, served).digest in versions
        assert run.data.metrics["search_negative_flip_rate"] <= target["flip_limit"]
        assert run.data.metrics["multiply_adds"] == rows[served]["multiply_adds"]
        assert by_name[served].data.tags[PARENT] == by_name["training"].info.run_id
        assert by_name[served].data.params["genotype.depth_1"] == str(rows[served]["depth_1"])
    listed = tracker.client.download_artifacts(by_name["selection"].info.run_id, "targets.json", str(tmp_path))
    assert read_json(Path(listed)).keys() == {"server", "phone"}
