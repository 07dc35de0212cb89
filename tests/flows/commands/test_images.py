"""Revoking names every dataset and model that a thing touched, through whatever learned from whatever, and no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core import manifest
from components.core.digests import digest_json
from components.core.errors import ConfigError, DataError
from components.core.files import write_json
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.tracking.registry import DIGEST, register_model
from components.tracking.runs import Tracker
from flows.commands.images import revoke_asset
from tests.flows.drawn import write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
PEAR, PLUM, WALL, PHOTO = "aaaa0001" * 4, "aaaa0002" * 4, "bbbb0001" * 4, "cccc0001" * 4
PLAIN = {"treatment": "plain", "distill_weight": 0.0, "flip_limit": None, "interpolate": False, "start": "scratch"}


def recipe(*assets: str, unused: tuple[str, ...] = ()) -> dict[str, Any]:
    named = [{"sample_id": name, "role": "picture", "used": name not in unused} for name in (*assets, *unused)]
    return {"seed": 0, "assets": named}


class History:
    """Past runs as the release's flow leaves them in MLflow."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.tracker = Tracker.open(Settings().mlflow_address, home=workspace.home)
        self.folder = folder

    def synthesise(self, made: dict[str, Any]) -> str:
        write_json(self.folder / "recipe.json", made)
        tags = {"detent.stage": "synthesis", "detent.synthesis_recipe": digest_json(made)}
        with self.tracker.run("synthesis", tags=tags) as run_id:
            self.tracker.log_file(run_id, self.folder / "recipe.json")
        return digest_json(made)

    def train(self, name: str, params: dict[str, Any], inputs: dict[str, Any] | None) -> str:
        digest = digest_json([name])
        with self.tracker.run("training", tags={"detent.stage": "training"}) as parent:
            if inputs is not None:
                write_json(self.folder / "inputs.json", inputs)
                self.tracker.log_file(parent, self.folder / "inputs.json")
            with self.tracker.run(name, parent=parent, tags={"detent.stage": "training"}) as run_id:
                self.tracker.log(run_id, params=params)
                (self.folder / name).mkdir()
                write_json(self.folder / name / "model.json", {"files": ["name.json"]})
                write_json(self.folder / name / "name.json", name)
                tags = {DIGEST: digest, "detent.candidate": name}
                register_model(self.tracker, "products-main", self.folder / name, run_id=run_id, tags=tags)
        return digest


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Two recipes; a first champion on the first, and later models that learn from it, or do not.

    The tests of this module share it, and run in order.
    """
    folder = tmp_path_factory.mktemp("history")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETENT_HOME", str(folder / "home"))
        patch.setenv("DETENT_WORKSPACE", str(folder / "workspace"))
        told = History(Workspace.from_settings(Settings()), folder)
        told.workspace.root.mkdir()
        write_params(told.workspace)
        first = told.synthesise(recipe(PEAR, WALL, unused=(PLUM,)))
        second = told.synthesise(recipe(PLUM, WALL))
        early: dict[str, Any] = {"synthesis_recipe": first, "champion": None, "photos": [PHOTO]}
        root = told.train("first", {**PLAIN, "use": "both"}, early)
        later: dict[str, Any] = {"synthesis_recipe": second, "champion": root, "photos": []}
        around = told.train("around", {**PLAIN, "treatment": "contained", "use": "both"}, later)
        told.train("fresh", {**PLAIN, "use": "both"}, later)
        told.train("real-only", {**PLAIN, "use": "photos"}, later)
        told.train("grandchild", {**PLAIN, "distill_weight": 0.2}, {**later, "champion": around})
        told.train("started", {**PLAIN, "start": "champion", "use": "photos"}, {**later, "champion": around})
        yield told


def touched(digest: str) -> set[str]:
    value = revoke_asset(digest).value
    versions = {model["version"] for model in value["models"]}
    names = {"1": "first", "2": "around", "3": "fresh", "4": "real-only", "5": "grandchild", "6": "started"}
    return {names[version] for version in versions}


def test_models_are_found_through_recipes_and_through_champions(release: History) -> None:
    learned = {"around", "grandchild", "started"}
    assert touched(PEAR) == {"first", *learned}
    assert touched(PLUM) == {"fresh", *learned}, "the first recipe had it, and could not use it"
    assert touched(WALL) == {"first", "fresh", *learned}
    assert touched(PHOTO) == {"first", *learned}


def test_the_past_datasets_are_named_by_their_runs(release: History) -> None:
    (dataset,) = revoke_asset(PEAR).value["past_datasets"]
    assert dataset["recipe"] == digest_json(recipe(PEAR, WALL, unused=(PLUM,))) and len(dataset["runs"]) == 1
    again = release.synthesise(recipe(PEAR, WALL, unused=(PLUM,)))
    (dataset,) = revoke_asset(PEAR).value["past_datasets"]
    assert dataset["recipe"] == again and len(dataset["runs"]) == 2


def test_manifests_that_lie_here_are_looked_through(release: History) -> None:
    manifest.write_shard(release.workspace.source("photos") / "a.parquet", [{"sample_id": PHOTO}, {"sample_id": PEAR}])
    crop = {"sample_id": "d" * 32, "parents": [PHOTO, WALL]}
    manifest.write_shard(release.workspace.stage("validation") / "photos" / "train" / "a.parquet", [crop])
    found = {item["path"]: (item["rows"], item["derived"]) for item in revoke_asset(PHOTO).value["datasets"]}
    assert found == {"data/photos": (1, 0), "data/validation/photos/train": (0, 1)}


@pytest.mark.parametrize(
    ("digest", "error", "fault"),
    [
        ("aaaa", ConfigError, "at least 8 hex digits"),
        ("not a digest", ConfigError, "at least 8 hex digits"),
        ("eeeeeeee", DataError, "no dataset here and no run on record"),
        ("aaaa000", ConfigError, "at least 8"),
    ],
)
def test_what_cannot_be_found_is_named(release: History, digest: str, error: type[Exception], fault: str) -> None:
    with pytest.raises(error, match=fault):
        revoke_asset(digest)


def test_an_ambiguous_beginning_is_refused_and_a_sha256_understood(release: History) -> None:
    manifest.write_shard(release.workspace.source("photos") / "a.parquet", [{"sample_id": PEAR[:30] + "ff"}])
    with pytest.raises(ConfigError, match="2 samples begin with"):
        revoke_asset(PEAR[:20])
    assert revoke_asset(PEAR + "e" * 32).value["asset"] == PEAR


def test_models_older_than_the_records_are_not_passed_over(release: History) -> None:
    release.train("ancient", {}, None)
    answer = revoke_asset(PEAR)
    assert answer.value["unknown_models"] == ["products-main version 7"]
    assert "nobody can say" in answer.after[0]
