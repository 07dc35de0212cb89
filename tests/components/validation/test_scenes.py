"""Scenes are found where they are and nowhere else, dealt by, and told of where a split does not keep them."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from components.core import manifest
from components.core.errors import ConfigError
from components.core.manifest import Source
from components.core.params import parse_section
from components.datasets.exif import Taken
from components.datasets.features import Appearance, comparable
from components.validation.config import ScenesConfig, ValidationConfig
from components.validation.description import choose_features
from components.validation.facts import Facts
from components.validation.scenes import camera_links, find_scenes, joinable
from components.validation.stage import ValidationSummary, validate
from components.workloads.classification.checks import rules

Sources = dict[Source, Path]

NUM_CLASSES, NUM_SCENES, NUM_SHOTS = 3, 8, 4
Pictures = npt.NDArray[np.uint8]


def picture(scene: np.random.Generator, shot: np.random.Generator) -> Pictures:
    """A shot: the scene sets colours and grain, the shot what lies where."""
    palette, grain = scene.integers(0, 256, (4, 3)), int(scene.integers(2, 12))
    cells = shot.integers(0, 4, (-(-64 // grain), -(-64 // grain)))
    drawn = palette[np.kron(cells, np.ones((grain, grain), dtype=int))[:64, :64]]
    return np.clip(drawn + shot.normal(0, 5, drawn.shape), 0, 255).astype(np.uint8)


def pictures(*, num_shots: int, num_scenes: int = NUM_SCENES) -> list[tuple[str, int, Pictures]]:
    """Class, scene and picture of every shot."""
    return [
        (
            f"class-{label}",
            scene,
            picture(np.random.default_rng([label, scene]), np.random.default_rng([9, label, scene, k])),
        )
        for label in range(NUM_CLASSES)
        for scene in range(num_scenes)
        for k in range(num_shots)
    ]


def fact(index: int, label: str = "cup", **more: Any) -> Facts:
    known: dict[str, Any] = {
        "index": index, "source": "photo", "sample_id": f"{index:032d}", "name": f"{index}.png", "label": label,
        "split": None, "group": None, "parents": (), "id_matches": True, "fault": None, "mode": "RGB",
        "width_px": 64, "height_px": 64, "mean": 100.0, "std": 30.0,
        "thumbnail": np.zeros((32, 32, 3), np.uint8),
    }  # fmt: skip
    return Facts(**known | more)


def found_in(made: list[tuple[str, int, Pictures]], **settings: Any) -> Any:
    photos = [fact(index, label) for index, (label, _, _) in enumerate(made)]
    described = Appearance().describe(np.stack([pixels for _, _, pixels in made]))
    vectors = comparable(described, is_whitened=True)
    return find_scenes(photos, ScenesConfig(**settings), features=Appearance(), vectors=vectors)


def test_bursts_are_linked_within_their_scene() -> None:
    made = pictures(num_shots=NUM_SHOTS)
    scenes = found_in(made)
    right = [made[left][:2] == made[right][:2] for left, right in scenes.links.tolist()]
    assert scenes.likeness.is_beyond_chance and len(right) > NUM_CLASSES * NUM_SCENES * 3
    assert np.mean(right) > 0.9


def test_photos_taken_one_by_one_are_linked_with_nothing() -> None:
    scenes = found_in(pictures(num_shots=1, num_scenes=40))
    assert scenes.likeness is not None and not scenes.likeness.is_beyond_chance
    assert len(scenes.links) == len(scenes.seen) == 0


def test_too_few_photos_or_one_class_set_no_threshold() -> None:
    made = pictures(num_shots=NUM_SHOTS)
    assert found_in(made[:30]).likeness is None
    assert found_in([("all", scene, pixels) for _, scene, pixels in made]).likeness is None


def test_warning_alone_and_the_champions_features_link_nothing_for_dealing() -> None:
    made = pictures(num_shots=NUM_SHOTS)
    for settings in ({"apply": "warn"}, {"features": "champion"}):
        scenes = found_in(made, **settings)
        assert len(scenes.links) == 0 and len(scenes.seen) > 0
    with pytest.raises(ConfigError, match="no champion is pinned"):
        choose_features(ScenesConfig(features="champion"), None)


def taken(minutes: float, camera: str = "A", *, has_serial: bool = False) -> Taken:
    return Taken(time_s=60 * minutes, camera=camera, has_serial=has_serial)


def test_one_camera_within_minutes_is_one_scene_whatever_the_class() -> None:
    times = [taken(0), taken(9), taken(25), None, taken(8, "B"), taken(18)]
    photos = [fact(index, f"class-{index}", taken=when) for index, when in enumerate(times)]
    assert camera_links(photos, minutes=10).tolist() == [[0, 1], [1, 5], [5, 2]]
    assert camera_links(photos, minutes=8).tolist() == [[5, 2]]


def test_a_camera_model_that_never_rests_is_many_cameras() -> None:
    all_day = [fact(index, taken=taken(5 * index)) for index in range(100)]
    assert len(camera_links(all_day, minutes=10)) == 0
    one = [replace(item, taken=taken(5 * item.index, has_serial=True)) for item in all_day]
    assert len(camera_links(one, minutes=10)) == 99


def test_links_never_join_what_stands_in_two_splits() -> None:
    links = np.array([[1, 2], [0, 1], [2, 3], [3, 4]])
    firm = np.array([[3, 4]])
    held = ["train", None, None, "certify", None]
    kept = joinable(links, firm=firm, held=held)
    assert kept.tolist() == [[1, 2], [0, 1]], "1 and 2 may join train, and then not what stands in certify"
    assert joinable(links, firm=firm, held=["train", None, None, "train", None]).tolist() == links[:3].tolist()


def shop_of(made: list[tuple[str, int, Pictures]], make_row: Callable[..., Any]) -> dict[str, list[dict[str, Any]]]:
    def png(pixels: Pictures) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    grounds = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    first = {label: pixels[::-1] for label, _, pixels in made}
    return {
        "catalog": [make_row(png(pixels), f"{label}/icon.png", label) for label, pixels in first.items()],
        "photo": [
            make_row(png(pixels), f"{label}/{scene}-{k}.png", label) for k, (label, scene, pixels) in enumerate(made)
        ],
        "background": [make_row(png(pixels), f"{k}.png", None) for k, pixels in enumerate(grounds)],
    }


@pytest.fixture
def run(tmp_path: Path, write_shop: Callable[..., Sources], make_row: Callable[..., Any]) -> Callable[..., Any]:
    sources = write_shop(shop_of(pictures(num_shots=NUM_SHOTS), make_row))

    def _run(**scenes: Any) -> ValidationSummary:
        config = parse_section(ValidationConfig, {"scenes": scenes, "share_tolerance": 0.3}, where="test")
        return validate(sources, config, out=tmp_path / "out", report=tmp_path / "page.html", rules=rules())

    return _run


def status(summary: ValidationSummary) -> dict[str, str]:
    return {result.check.code: result.status for result in summary.results}


def test_photos_are_dealt_by_scenes_and_certify_is_then_unseen(run: Callable[..., Any], tmp_path: Path) -> None:
    summary = run()
    where: dict[str, set[str]] = defaultdict(set)
    for split in ("train", "search", "certify"):
        for image in manifest.read(tmp_path / "out" / "photos" / split, ["image"])["image"].to_pylist():
            where[image["path"].rsplit("-", 1)[0]].add(split)
    torn = sum(len(splits) > 1 for splits in where.values())
    assert len(where) == NUM_CLASSES * NUM_SCENES and torn <= 2
    assert status(summary)["V021"] == "passed"
    assert summary.metrics["share_of_certify_seen_in_train"] <= 0.1
    assert "has not seen" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_split_that_tears_scenes_is_warned_of_with_figures_and_pairs(run: Callable[..., Any], tmp_path: Path) -> None:
    summary = run(apply="warn")
    result = next(result for result in summary.results if result.check.code == "V021")
    assert result.status == "failed" and result.check.severity == "warning"
    assert any(text.startswith("certify: ") and "median" in text for text in result.examples)
    assert summary.metrics["share_of_certify_seen_in_train"] > 0.6
    assert 0 < summary.metrics["scene_threshold"] < 1
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "occasions that the model has seen" in page and 1 < page.count('class="pair"') <= 12


def test_without_features_nothing_is_claimed(run: Callable[..., Any], tmp_path: Path) -> None:
    summary = run(features="none")
    assert status(summary)["V021"] == "not applicable" and "scene_threshold" not in summary.metrics
    assert "was not measured" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_class_of_one_scene_is_named(
    tmp_path: Path, write_shop: Callable[..., Sources], make_row: Callable[..., Any]
) -> None:
    made = [item for item in pictures(num_shots=NUM_SHOTS) if item[0] != "class-2" or item[1] == 0]
    sources = write_shop(shop_of(made, make_row))
    summary = validate(
        sources,
        ValidationConfig(share_tolerance=1),
        out=tmp_path / "out",
        report=tmp_path / "p",
        rules=rules(),
    )
    result = next(result for result in summary.results if result.check.code == "V022")
    assert result.status == "failed" and result.examples == ["class-2 (4 photos)"]


def test_where_everything_is_one_scene_photos_are_dealt_all_the_same_and_the_page_warns(
    tmp_path: Path, write_shop: Callable[..., Sources], make_row: Callable[..., Any]
) -> None:
    sources = write_shop(shop_of(pictures(num_shots=30, num_scenes=1), make_row))
    config = parse_section(ValidationConfig, {"share_tolerance": 0.3}, where="test")
    summary = validate(sources, config, out=tmp_path / "out", report=tmp_path / "page.html")
    assert min(summary.metrics[f"num_{split}"] for split in ("train", "search", "certify")) > 0
    assert status(summary)["V021"] == "failed"
    assert "occasions that the model has seen" in (tmp_path / "page.html").read_text()
