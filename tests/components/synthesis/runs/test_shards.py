"""A killed run goes on, another recipe starts anew, and a folder of somebody else is left alone."""

from pathlib import Path

import pytest

from components.core.errors import ConfigError, StateError
from components.core.manifest import read, write_shard
from components.synthesis.runs.shards import claim_folder, fill_shards, num_workers


class Counting:
    """Makes one row a shard and remembers which it made; dies at `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.made = fails_at, []

    def rows(self, shard: int) -> list[dict]:
        if shard == self.fails_at:
            raise KeyboardInterrupt
        self.made.append(shard)
        return [{"sample_id": f"{shard:032d}"}]


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")


def fill(out: Path, job: Counting, recipe: dict) -> int:
    return fill_shards(out, job, recipe=recipe, num_shards=4, title="counting")


def test_a_killed_run_makes_only_what_is_missing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, Counting(fails_at=2), {"seed": 1})
    again = Counting()
    assert fill(tmp_path, again, {"seed": 1}) == 2
    assert again.made == [2, 3]
    assert read(tmp_path).num_rows == 4


def test_nothing_is_done_twice(tmp_path):
    fill(tmp_path, Counting(), {"seed": 1})
    again = Counting()
    assert fill(tmp_path, again, {"seed": 1}) == 0
    assert again.made == []


def test_another_recipe_replaces_all_shards(tmp_path):
    fill(tmp_path, Counting(), {"seed": 1})
    again = Counting()
    assert fill(tmp_path, again, {"seed": 2}) == 4


def test_a_smaller_run_leaves_no_shard_of_the_larger_one(tmp_path):
    fill(tmp_path, Counting(), {"seed": 1, "num": 4})
    fill_shards(tmp_path, Counting(), recipe={"seed": 1, "num": 1}, num_shards=1, title="counting")
    assert read(tmp_path).num_rows == 1


def test_shards_of_unknown_origin_are_kept_and_refused(tmp_path):
    write_shard(tmp_path / "shard-00000.parquet", [{"sample_id": "a" * 32}])
    with pytest.raises(StateError, match=r"no recipe\.json explains"):
        claim_folder(tmp_path, {"seed": 1})
    assert read(tmp_path).num_rows == 1


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("DETENT_WORKERS", text)
    with pytest.raises(ConfigError, match="DETENT_WORKERS"):
        num_workers()
