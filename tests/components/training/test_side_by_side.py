import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from components.core.errors import DataError
from components.training import side_by_side
from components.training.config import Recipe, TrainingConfig
from components.training.side_by_side import as_order, large_ones, num_at_once
from components.training.training import TrainingInputs, train
from tests.components.training.test_training import CLASSES, NET, write

RECIPES = {"one": Recipe(**NET), "two": Recipe(**{**NET, "seed_offset": 1})}


@pytest.fixture
def inputs(tmp_path: Path) -> TrainingInputs:
    for name, num in (("train", 48), ("search", 24), ("synthetic", 0)):
        write(tmp_path / name, num, seed=len(name))
    return TrainingInputs(
        train=tmp_path / "train",
        search=tmp_path / "search",
        synthetic=tmp_path / "synthetic",
        classes=CLASSES,
        champion=None,
        cache=tmp_path / "cache",
        scratch=tmp_path / "scratch",
        code="c0de",
    )


def config(**more: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"size_px": 16, "batch": 12, "candidates": RECIPES, **more})


def test_candidates_trained_at_once_are_those_trained_one_by_one(
    inputs: TrainingInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    alone = train(inputs, config(), out=tmp_path / "alone", seed=1)
    monkeypatch.setattr(side_by_side, "LARGE", 1)
    with caplog.at_level("INFO"):
        apart = train(inputs, config(), out=tmp_path / "apart", seed=1)
    assert [one.digest for one in apart.candidates] == [one.digest for one in alone.candidates]
    assert sum("in a process of its own, 1 threads" in line for line in caplog.messages) == 2
    assert not any("ended with code" in line for line in caplog.messages)
    with caplog.at_level("INFO"):
        caplog.clear()
        train(inputs, config(), out=tmp_path / "apart", seed=1)
    assert not any("process of its own" in line for line in caplog.messages), "what is finished is not trained again"


def test_what_fails_in_a_process_of_its_own_is_told_by_its_own_error(
    inputs: TrainingInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    monkeypatch.setattr(side_by_side, "LARGE", 1)
    recipes = {name: recipe.model_copy(update={"use": "synthetic"}) for name, recipe in RECIPES.items()}
    with pytest.raises(DataError, match="only synthetic images, and there are none"):
        train(inputs, config(candidates=recipes), out=tmp_path / "out", seed=1)
    assert sum("ended with code 1" in line for line in caplog.messages) == 2


def test_a_process_does_not_outlive_whoever_started_it(inputs: TrainingInputs, tmp_path: Path) -> None:
    endless = config(candidates={"one": Recipe(**{**NET, "epochs": 10_000})}, patience_epochs=10_000)
    order = {**as_order(inputs, endless, out=tmp_path / "out", seed=1), "name": "one", "threads": 1}
    command, pipe = [sys.executable, "-m", "components.training"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "epoch\n"
        child.stdin.close()
        assert child.wait(timeout=120) == 1


def test_small_recipes_share_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    recipes = {"long": Recipe(epochs=20), "longer": Recipe(epochs=40), "short": Recipe(epochs=1)}
    assert large_ones(recipes, num_images=1_000) == ["long", "longer"]
    assert num_at_once(recipes, TrainingConfig(), num_images=1_000) == 2
    assert num_at_once(recipes, TrainingConfig(side_by_side=False), num_images=1_000) == 1
    assert num_at_once({"long": recipes["long"]}, TrainingConfig(), num_images=1_000) == 1
    assert num_at_once(recipes, TrainingConfig(device="auto"), num_images=1_000) == 1
