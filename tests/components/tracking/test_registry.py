"""Each workload and catalogue has a registered model of its own, however their names are spelt."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from components.core.files import write_json
from components.tracking.registry import DIGEST, find_version, register_model, registered_name
from components.tracking.runs import Tracker

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    home = tmp_path_factory.mktemp("home")
    return Tracker.open(f"sqlite:///{home}/mlflow/mlflow.db", home=home)


def test_no_two_keys_share_a_name_and_plain_ones_keep_theirs(tracker: Tracker) -> None:
    names = ["a", "b", "a-b", "b-c", "c", "-", "a-", "-b", "a--b", "a_b"]
    keys = list(product(names, names))
    assert len({registered_name(tracker, *key) for key in keys}) == len(keys)
    assert registered_name(tracker, "products", "main") == "products-main"


def test_a_model_that_an_earlier_version_registered_with_a_dash_is_still_found_by_its_own_key(
    tracker: Tracker, tmp_path: Path
) -> None:
    write_json(tmp_path / "model" / "model.json", {"files": ["words.json"]})
    write_json(tmp_path / "model" / "words.json", {})
    tags = {"detent.workload": "shop-window", "detent.catalog": "spring"}
    with (
        tracker.run("release", tags=tags) as parent,
        tracker.run("training", parent=parent) as stage,
        tracker.run("plain", parent=stage) as run_id,
    ):
        made = {DIGEST: "f" * 64}
        register_model(tracker, "shop-window-spring", tmp_path / "model", run_id=run_id, tags=made)
    assert registered_name(tracker, "shop-window", "spring") == "shop-window-spring"
    assert find_version(tracker, registered_name(tracker, "shop-window", "spring"), "f" * 64) == "1"
    assert registered_name(tracker, "shop", "window-spring") == "shop.window-spring"
