"""A small release of products gives the very manifests, models, verdicts and Decisions that are on record."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.small_release import RECORDED, is_everywhere, made_with, release_in_a_process

MOST_ACCURACY = 0.15  # by which an accuracy may differ where other arithmetic trains


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return release_in_a_process(tmp_path_factory.mktemp("small"))


def differing(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The names of what is recorded and is another now, or is not there; what has come since is nobody's matter."""
    return [
        f"{name} {'differs' if name in found else 'is gone'}" for name in recorded if found.get(name) != recorded[name]
    ]


def outcomes(figures: Mapping[str, Any]) -> Counter[str]:
    return Counter(f"{name.split('/')[0]}: {value}" for name, value in figures.items() if "/outcome/" in name)


def test_manifests_splits_and_the_levels_of_looks_are_those_on_record(
    recorded: dict[str, Any], outcome: dict[str, Any]
) -> None:
    wanted = {name: value for name, value in recorded["digests"].items() if is_everywhere(name)}
    assert len(wanted) > 100
    changed = differing(wanted, outcome["digests"])
    assert not changed, "\n".join(changed)


def test_images_weights_verdicts_and_decisions_are_those_on_record(
    recorded: dict[str, Any], outcome: dict[str, Any]
) -> None:
    """Bit for bit on the recorded kind of processor with the same packages; else as good, and decided alike."""
    if made_with() == recorded["made_with"]:
        changed = differing(recorded["digests"] | recorded["figures"], outcome["digests"] | outcome["figures"])
        assert not changed, "\n".join(changed)
    then, now = recorded["figures"], outcome["figures"]
    assert then.keys() == now.keys()
    assert outcomes(then) == outcomes(now)
    worse = [
        f"{name}: {now[name]} now, {value} on record"
        for name, value in then.items()
        if "/accuracy/" in name and abs(now[name] - value) > MOST_ACCURACY
    ]
    assert not worse, "\n".join(worse)
