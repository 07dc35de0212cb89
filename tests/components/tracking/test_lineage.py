"""From MLflow alone it is told which assets images came from, and which models learned from a touched one."""

import json
from pathlib import Path

import pytest

from components.tracking.lineage import (
    INPUTS,
    RECIPE,
    RECIPE_DIGEST,
    STAGE,
    TrainedModel,
    descend,
    synthetic_sets,
    trained_models,
)
from components.tracking.registry import DIGEST, register_model
from components.tracking.runs import Tracker

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)
PLAIN = {"treatment": "plain", "interpolate": "False", "start": "scratch", "distill_weight": "0.0"}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    home = tmp_path_factory.mktemp("home")
    return Tracker.open(f"sqlite:///{home}/mlflow/mlflow.db", home=home)


def keep(tracker: Tracker, run: str, folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value))
    tracker.log_file(run, folder / name)


def test_each_recipe_is_told_once_with_all_its_runs(tracker: Tracker, tmp_path: Path) -> None:
    made: dict[str, list[str]] = {"r1": [], "r2": []}
    for recipe in ("r1", "r2", "r1"):
        with tracker.run("synthesis") as run:
            tracker.log(run, tags={STAGE: "synthesis", RECIPE_DIGEST: recipe})
            keep(tracker, run, tmp_path, RECIPE, {"assets": [{"digest": f"of {recipe}"}]})
        made[recipe].append(run)
    with pytest.raises(RuntimeError), tracker.run("synthesis") as failed:
        tracker.log(failed, tags={STAGE: "synthesis", RECIPE_DIGEST: "r3"})
        raise RuntimeError
    found = {each.recipe: each for each in synthetic_sets(tracker)}
    assert {recipe: set(each.runs) for recipe, each in found.items()} == {
        name: set(runs) for name, runs in made.items()
    }
    assert found["r1"].assets == ({"digest": "of r1"},)


@pytest.mark.parametrize(
    ("changes", "learned"),
    [
        ({}, False),
        ({"treatment": "contained"}, True),
        ({"interpolate": "True"}, True),
        ({"start": "champion"}, True),
        ({"distill_weight": "0.2"}, True),
        ({"flip_limit": "0.05"}, True),
    ],
)
def test_a_model_is_known_with_what_it_came_from(
    tracker: Tracker, tmp_path: Path, changes: dict[str, str], learned: bool
) -> None:
    name, digest = f"shop-{'-'.join(changes) or 'plain'}", ("-".join(changes) or "plain").ljust(64, "0")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    with tracker.run("training") as parent, tracker.run("candidate", parent=parent) as run:
        keep(tracker, parent, tmp_path, INPUTS, {"champion": "c" * 64})
        tracker.log(run, params={**PLAIN, "use": "photos", **changes})
        register_model(tracker, name, tmp_path / "model", run_id=run, tags={DIGEST: digest, "detent.candidate": "a"})
    (model,) = [model for model in trained_models(tracker) if model.name == name]
    assert (model.digest, model.candidate, model.inputs) == (digest, "a", {"champion": "c" * 64})
    assert (model.uses_synthetic, model.uses_photos, model.learned_from_champion) == (False, True, learned)


def test_what_a_touched_model_taught_is_touched_however_far_down() -> None:
    def model(digest: str, champion: str | None, *, learned: bool = True) -> TrainedModel:
        return TrainedModel(
            name="shop",
            version="1",
            digest=digest,
            candidate=digest,
            uses_synthetic=True,
            uses_photos=True,
            learned_from_champion=learned,
            inputs=None if champion is None else {"champion": champion},
        )

    models = [model("d", "c"), model("c", "b"), model("b", "a"), model("x", "a", learned=False), model("y", None)]
    assert descend(models, {"a"}) == {"a", "b", "c", "d"}
    assert descend(models, {"c"}) == {"c", "d"}
    assert descend(models, {"x"}) == {"x"}
