"""Recipes through the entry: each treatment makes a model that loads, what cannot be followed is skipped in words, and
nothing of the certify split is read."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.core.digests import sample_id
from components.core.errors import ConfigError, DataError
from components.core.files import read_json
from components.core.manifest import ManifestWriter
from components.core.params import parse_section
from components.datasets.pixels import PixelStore
from components.models.artefacts import load_model, save_model
from components.models.networks.growth import Grown
from components.models.networks.slicing import is_statistic, take
from components.models.prediction import predict_logits
from components.training.config import Recipe, TrainingConfig
from components.training.training import TrainingInputs, TrainingSummary, train

CLASSES = ("a", "b", "c")
NET = {"widths": (4, 8), "blocks": (1, 1), "epochs": 2}
CHAMPION_NET = {"widths": (4,), "blocks": (1,), "epochs": 2}


def write(folder: Path, num: int, *, seed: int, classes: tuple[str, ...] = CLASSES) -> None:
    rng = np.random.default_rng(seed)
    with ManifestWriter(folder) as writer:
        for index in range(num):
            pixels = rng.integers(0, 120, (20, 20, 3))
            pixels[..., index % len(classes)] += 90
            buffer = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
            data = buffer.getvalue()
            label = classes[index % len(classes)]
            writer.write({"sample_id": sample_id(data), "image": {"bytes": data, "path": None}, "label": label})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Train, search and (as broken bytes that nobody can read) certify."""
    write(tmp_path / "train", 48, seed=0)
    write(tmp_path / "search", 24, seed=1)
    write(tmp_path / "synthetic", 0, seed=2)
    (tmp_path / "certify").mkdir()
    (tmp_path / "certify" / "part-0.parquet").write_bytes(b"whoever reads this breaks the seal")
    return tmp_path


def run(
    photos: Path,
    recipes: dict[str, Recipe],
    *,
    champion: Path | None = None,
    classes: tuple[str, ...] = CLASSES,
    code: str = "c0de",
) -> TrainingSummary:
    torch.set_num_threads(1)
    inputs = TrainingInputs(
        train=photos / "train",
        search=photos / "search",
        synthetic=photos / "synthetic",
        classes=classes,
        champion=champion,
        code=code,
        cache=photos / "cache",
        scratch=photos / "scratch",
    )
    out = photos / ("first" if champion is None else "second")
    config = TrainingConfig(size_px=16, batch=12, flip_target=0.1, candidates=recipes, reseed=champion is not None)
    return train(inputs, config, out=out, seed=1)


@pytest.fixture
def champion(photos: Path) -> Path:
    run(photos, {"plain": Recipe(**CHAMPION_NET)})
    return photos / "first" / "plain" / "model"


def test_every_treatment_makes_a_model_within_its_flip_target(photos: Path, champion: Path) -> None:
    recipes = {
        "kl": Recipe(**NET, distill_weight=0.2, distill_form="kl"),
        "inhibited": Recipe(**NET, distill_weight=0.2, distill_form="inhibition", inhibition_top_k=2),
        "taught": Recipe(**NET, distill_weight=0.2, teacher="ensemble", ensemble_size=2),
        "limited": Recipe(**NET, flip_limit=0.05),
        "interpolated": Recipe(**CHAMPION_NET, interpolate=True),
        "contained": Recipe(**NET, treatment="contained", distill_weight=0.2, flip_limit=0.05),
        "merged": Recipe(**NET, treatment="merged", distill_weight=0.2, distill_form="inhibition"),
        "started": Recipe(**{**CHAMPION_NET, "widths": (6,)}, start="champion"),
        "started-within": Recipe(**{**CHAMPION_NET, "widths": (6,)}, start="champion", treatment="merged"),
    }
    summary = run(photos, recipes, champion=champion)
    assert not summary.skipped
    made = {candidate.name: candidate for candidate in summary.candidates}
    assert made.keys() == {*recipes, "reseed"}
    assert made["merged"].tuned.keys() == {"share", "bias"} and made["interpolated"].tuned.keys() == {"coefficient"}
    assert made["contained"].threshold == made["contained"].tuned["threshold"]
    search = PixelStore.open(photos / "search", size_px=16, cache=photos / "cache")
    labels = search.label_indices(CLASSES)
    was_right = (
        predict_logits(load_model(champion).network, load_model(champion).spec, search.pixels).argmax(1) == labels
    )
    digests = set()
    for name in made:
        model = load_model(photos / "second" / name / "model")
        digests.add(model.digest)
        flips = was_right & (predict_logits(model.network, model.spec, search.pixels).argmax(1) != labels)
        assert flips.mean() <= 0.1 or name not in ("interpolated", "contained", "merged")
    assert len(digests) == len(made)
    assert not list((photos / "scratch").iterdir()), "ensemble members and checkpoints go when the candidate is done"
    again = run(photos, recipes, champion=champion)
    assert [candidate.digest for candidate in again.candidates] == [c.digest for c in summary.candidates]


def test_a_reseed_starts_where_the_champion_started_from_what_that_holds(photos: Path, champion: Path) -> None:
    still = Recipe(widths=(6,), blocks=(1,), epochs=1, learning_rate=1e-9, start="champion", treatment="merged")
    run(photos, {"within": still}, champion=champion)
    later = (photos / "second" / "within" / "model").rename(photos / "later")
    summary = run(photos, {"plain": Recipe(**NET)}, champion=later)
    assert not summary.skipped
    for folder in (later, photos / "second" / "reseed" / "model"):
        network = load_model(folder).network
        assert isinstance(network, Grown)
        old = {name: tensor for name, tensor in network.inner.state_dict().items() if not is_statistic(name)}
        held = take(network.outer.state_dict(), old)
        for name, tensor in old.items():
            torch.testing.assert_close(held[name], tensor, rtol=0, atol=1e-6)


def test_what_other_code_made_is_made_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is finished, and one that was killed: the epochs of other code are not gone on with."""
    from components.training import fitting

    def made_from() -> str:
        return str(read_json(photos / "first" / "plain" / "candidate.json")["made_from"])

    epochs: list[int] = []
    real = fitting._run_epoch

    def counted(*args: Any, **options: Any) -> Any:
        epochs.append(options["epoch"])
        return real(*args, **options)

    monkeypatch.setattr(fitting, "_run_epoch", counted)
    recipes = {"plain": Recipe(**CHAMPION_NET)}
    run(photos, recipes, code="one")
    first = made_from()
    run(photos, recipes, code="one")
    assert (epochs, made_from()) == ([0, 1], first)
    run(photos, recipes, code="two")
    assert epochs == [0, 1, 0, 1] and made_from() != first
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting, "_run_epoch", _stop_at_second(real))
        run(photos, recipes, code="three")
    assert len(list((photos / "scratch").glob("*.checkpoint"))) == 1
    epochs.clear()
    monkeypatch.setattr(fitting, "_run_epoch", counted)
    run(photos, recipes, code="four")
    assert epochs == [0, 1]


def _stop_at_second(real: Any) -> Any:
    def epoch(*args: Any, **options: Any) -> Any:
        if options["epoch"] == 1:
            raise KeyboardInterrupt
        return real(*args, **options)

    return epoch


def test_what_cannot_be_counted_is_refused_before_an_epoch(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.training import candidates, fitting

    def uncountable(_: object) -> int:
        raise DataError("nobody can count this")

    epochs: list[int] = []
    monkeypatch.setattr(candidates, "count_parameters", uncountable)
    monkeypatch.setattr(fitting, "_run_epoch", lambda *_, **options: epochs.append(options["epoch"]))
    with pytest.raises(DataError, match="nobody can count"):
        run(photos, {"plain": Recipe(**NET)})
    assert not epochs


def test_an_ensemble_killed_in_between_keeps_its_members(photos: Path, champion: Path) -> None:
    from components.training import candidates

    recipe = {"taught": Recipe(**NET, distill_weight=0.2, teacher="ensemble", ensemble_size=2)}
    fits: list[str] = []
    real = candidates._fit

    def counted(network: object, job: candidates.Job, *rest: object, **options: object) -> object:
        fits.append(job.made_from[-8:])
        if len(fits) == 3:
            raise KeyboardInterrupt
        return real(network, job, *rest, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_fit", counted)
        with pytest.raises(KeyboardInterrupt):
            run(photos, recipe, champion=champion)
        assert fits[:2] == ["member-0", "member-1"]
        run(photos, recipe, champion=champion)
    assert len(fits) == 5, "the student once more and the reseed; no member twice"


def test_without_a_champion_what_needs_one_is_skipped_in_words(photos: Path) -> None:
    recipes = {
        "plain": Recipe(**NET),
        "focal": Recipe(**NET, distill_weight=1.0),
        "limited": Recipe(**NET, flip_limit=0.05),
        "contained": Recipe(**NET, treatment="contained"),
    }
    summary = run(photos, recipes)
    assert [candidate.name for candidate in summary.candidates] == ["plain"]
    assert summary.skipped == {
        "focal": "there is no champion to learn from yet",
        "limited": "there is no champion to learn from yet",
        "contained": "there is no champion to contain yet",
    }


def test_class_sets_that_differ(photos: Path, champion: Path) -> None:
    """A new class appears and an old one goes: answers are compared and kept by name; no line joins such weights."""
    new = ("b", "c", "d")
    for split in ("train", "search"):
        write(photos / split, 24, seed=5, classes=new)
    recipes = {
        "focal": Recipe(**NET, distill_weight=0.5, flip_limit=0.1),
        "contained": Recipe(**NET, treatment="contained", distill_weight=0.5, flip_limit=0.1),
        "interpolated": Recipe(**CHAMPION_NET, interpolate=True),
    }
    summary = run(photos, recipes, champion=champion, classes=new)
    assert [candidate.name for candidate in summary.candidates] == ["focal", "contained", "reseed"]
    assert "knows other classes" in summary.skipped["interpolated"]
    contained = load_model(photos / "second" / "contained" / "model")
    assert contained.spec.classes == new


def test_other_sides_and_architectures_are_skipped_in_words(photos: Path, champion: Path) -> None:
    narrow = Recipe(**{**CHAMPION_NET, "widths": (2,)}, start="champion")
    recipes = {"plain": Recipe(**NET), "interpolated": Recipe(**NET, interpolate=True), "started": narrow}
    summary = run(photos, recipes, champion=champion)
    assert "wider layers" in summary.skipped["started"]
    assert "another architecture" in summary.skipped["interpolated"]


def test_a_champion_that_writes_its_defaults_down_has_no_other_architecture(photos: Path, champion: Path) -> None:
    model = load_model(champion)
    told = {**model.spec.architecture, "kernels": [3, 3]}
    save_model(photos / "told", model.network, replace(model.spec, architecture=told))
    summary = run(photos, {"interpolated": Recipe(**CHAMPION_NET, interpolate=True)}, champion=photos / "told")
    assert not summary.skipped and "interpolated" in [candidate.name for candidate in summary.candidates]


def test_weights_that_read_images_normalised_otherwise_are_no_start(photos: Path, champion: Path) -> None:
    model = load_model(champion)
    save_model(photos / "theirs", model.network, replace(model.spec, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
    recipes = {"plain": Recipe(**NET), "interpolated": Recipe(**CHAMPION_NET, interpolate=True)}
    summary = run(photos, recipes, champion=photos / "theirs")
    assert "normalised otherwise" in summary.skipped["interpolated"]


def test_the_reseed_of_what_learned_from_a_lost_model_is_skipped(photos: Path, champion: Path) -> None:
    run(photos, {"focal": Recipe(**NET, distill_weight=0.5)}, champion=champion)
    summary = run(photos, {"plain": Recipe(**NET)}, champion=photos / "second" / "focal" / "model")
    assert "does not hold" in summary.skipped["reseed"]


def test_a_champion_whose_recipe_cannot_be_followed_any_more_has_no_reseed_and_stops_nothing(
    photos: Path, champion: Path
) -> None:
    model = load_model(champion)
    for own, told in (({**NET, "use": "synthetic"}, "wants only synthetic"), ({"breadths": [4]}, "'breadths'")):
        recipe = {**model.spec.recipe, "recipe": own}
        save_model(photos / told, model.network, replace(model.spec, recipe=recipe))
        summary = run(photos, {"plain": Recipe(**NET)}, champion=photos / told)
        assert [candidate.name for candidate in summary.candidates] == ["plain"]
        assert told in summary.skipped["reseed"] and "noise_floor" in summary.skipped["reseed"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"teacher": "ensemble"}, "set distill_weight above 0"),
        ({"interpolate": True, "treatment": "contained"}, "goes with treatment plain"),
        ({"interpolate": True, "start": "champion"}, "has a start"),
        ({"backbone": "resnet18", "start": "champion"}, "a convnet of ours"),
        ({"distil_weight": 1.0}, "distill_weight"),
        ({"widths": [0, 8], "blocks": [1, 1]}, r"'widths\.0'.*got 0"),
        ({"widths": [], "blocks": []}, "'widths'"),
        ({"widths": [4, 8], "blocks": [1, -1]}, r"'blocks\.1'.*got -1"),
    ],
)
def test_switches_that_do_not_go_together_are_refused(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_section(Recipe, fields, where="training.candidates.x")


def test_the_tripwire_is_live(photos: Path) -> None:
    with pytest.raises(Exception, match="arquet"):
        PixelStore.open(photos / "certify", size_px=16, cache=photos / "cache")
