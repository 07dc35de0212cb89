"""A fit that was killed goes on and ends bit-identical; augmentation is seeded; early stopping stops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from components.core.errors import DataError
from components.models.artefacts import ModelSpec
from components.models.networks.registry import build_network
from components.training.batches import Augmentation, AugmentationRanges, LabelledPixels, TrainingData
from components.training.fitting import FitOptions, FitSummary, fit
from components.training.losses import FlipConstraint
from components.training.treatments import Teacher, TreatedLoss

ARCHITECTURE = {"family": "convnet", "num_classes": 2, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 1}
RANGES = AugmentationRanges(zoom=0.7, turn_deg=10, mix_share=0.5)
SPEC = ModelSpec(architecture=ARCHITECTURE, classes=("dark", "light"), size_px=12)


class KilledError(Exception):
    """Stands for the end of the process."""


def drawn(num: int, *, seed: int = 0) -> LabelledPixels:
    """Dark and light squares with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    pixels = rng.integers(0, 90, (num, 12, 12, 3)) + labels[:, None, None, None] * 120
    return LabelledPixels(pixels=pixels.astype(np.uint8), labels=labels)


def data(*, photos: int = 24, synthetic: int = 12) -> TrainingData:
    return TrainingData(photos=drawn(photos), synthetic=drawn(synthetic, seed=1), synthetic_share=0.25)


def options(**changes: object) -> FitOptions:
    values = {"epochs": 4, "batch": 8, "learning_rate": 0.01, "weight_decay": 0.01, "patience_epochs": 9, "seed": 3}
    values["ranges"] = RANGES
    return FitOptions(**{**values, "precision": "float32", "device": "cpu", **changes})  # type: ignore[arg-type]


def run(checkpoint: Path, *, score: object = None, **changes: object) -> tuple[nn.Module, FitSummary]:
    torch.manual_seed(0)
    network = build_network(ARCHITECTURE)
    summary = fit(
        network,
        data(),
        SPEC,
        options=options(**changes),
        loss=TreatedLoss(label_smoothing=0.0),
        score=score or (lambda fitted: float(fitted(torch.zeros(1, 3, 12, 12)).detach().sum())),  # type: ignore[arg-type]
        checkpoint=checkpoint,
    )
    return network, summary


def test_resumed_after_a_kill_is_bit_identical(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "a")
    calls = []

    def dies_at_third(fitted: nn.Module) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise KilledError
        return float(fitted(torch.zeros(1, 3, 12, 12)).detach().sum())

    with pytest.raises(KilledError):
        run(tmp_path / "b", score=dies_at_third)
    assert (tmp_path / "b").is_file()
    resumed, summary = run(tmp_path / "b")
    assert summary.epochs_run == 4
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_killed_before_its_weights_were_kept_a_fit_repeats_no_epoch(tmp_path: Path) -> None:
    whole, told = run(tmp_path / "a")

    def never(_: nn.Module) -> float:
        raise AssertionError("an epoch was run again")

    again, summary = run(tmp_path / "a", score=never)
    assert summary == told
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_dual_variable_goes_on_where_it_stood_after_a_kill(tmp_path: Path) -> None:
    torch.manual_seed(1)
    always_light = build_network(ARCHITECTURE)
    always_light.head.bias.data += torch.tensor([-9.0, 9.0])  # type: ignore[union-attr,operator]
    champion = Teacher([always_light], SPEC, student=SPEC)

    def fitted(checkpoint: Path, *, dies_at: int | None = None) -> tuple[nn.Module, TreatedLoss]:
        constraint = FlipConstraint(limit=1e-6, rate=5.0)
        loss = TreatedLoss(label_smoothing=0.0, incumbent=champion, constraint=constraint)
        calls = []

        def score(_: nn.Module) -> float:
            calls.append(1)
            if len(calls) == dies_at:
                raise KilledError
            return float(len(calls))

        torch.manual_seed(0)
        network = build_network(ARCHITECTURE)
        network.head.bias.data += torch.tensor([9.0, -9.0])  # type: ignore[union-attr,operator]
        fit(network, data(), SPEC, options=options(), loss=loss, score=score, checkpoint=checkpoint)
        return network, loss

    whole, loss = fitted(tmp_path / "a")
    assert loss.constraint is not None and loss.constraint.dual > 0
    with pytest.raises(KilledError):
        fitted(tmp_path / "b", dies_at=3)
    resumed, again = fitted(tmp_path / "b")
    assert again.constraint is not None and again.constraint.dual == loss.constraint.dual
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3, 0.4, 0.5])
    _, summary = run(tmp_path / "c", score=lambda _: next(scores), epochs=6, patience_epochs=2)
    assert (summary.best_epoch, summary.epochs_run, summary.best_score) == (2, 4, 0.9)


def test_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"not safetensors")
    with pytest.raises(DataError, match="delete it"):
        run(tmp_path / "d")


def test_learns_to_tell_dark_from_light(tmp_path: Path) -> None:
    held_back = drawn(40, seed=9)

    def accuracy(fitted: nn.Module) -> float:
        from components.models.prediction import predict_logits

        return float((predict_logits(fitted, SPEC, held_back.pixels).argmax(1) == held_back.labels).mean())

    _, summary = run(tmp_path / "e", score=accuracy, epochs=12)
    assert summary.best_score > 0.9


def test_an_epoch_holds_each_photo_once_and_the_share_of_synthetic() -> None:
    photos = LabelledPixels(pixels=np.zeros((18, 4, 4, 3), np.uint8), labels=np.arange(18))
    synthetic = LabelledPixels(pixels=np.ones((5, 4, 4, 3), np.uint8), labels=np.full(5, 99))
    mixed = TrainingData(photos=photos, synthetic=synthetic, synthetic_share=0.25)
    batches = list(mixed.epoch_batches(batch=8, seed=0, epoch=0))
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    real = labels[labels != 99]
    assert len(batches) == 3 and sorted(real) == list(range(18))
    assert (labels == 99).sum() == 3 * 2
    again = [labels.tolist() for _, labels in mixed.epoch_batches(batch=8, seed=0, epoch=0)]
    assert again == [labels.tolist() for _, labels in batches]
    assert again != [labels.tolist() for _, labels in mixed.epoch_batches(batch=8, seed=0, epoch=1)]


def test_without_photos_synthetic_images_make_the_epoch() -> None:
    nothing = LabelledPixels(pixels=np.zeros((0, 4, 4, 3), np.uint8), labels=np.zeros(0, np.int64))
    only = TrainingData(photos=nothing, synthetic=drawn(10), synthetic_share=0.25)
    assert sum(len(labels) for _, labels in only.epoch_batches(batch=5, seed=0, epoch=0)) == 10


def test_augmentation_is_seeded_and_changes_each_image_its_own_way() -> None:
    pixels = torch.from_numpy(drawn(2).pixels[:1]).permute(0, 3, 1, 2).repeat(4, 1, 1, 1)

    def changed(seed: int) -> torch.Tensor:
        augmentation = Augmentation(RANGES, num_classes=2, generator=torch.Generator().manual_seed(seed))
        return augmentation.geometry_and_light(pixels)

    assert torch.equal(changed(1), changed(1))
    assert not torch.equal(changed(1), changed(2))
    assert not torch.equal(changed(1)[0], changed(1)[1])
    assert changed(1).min() >= 0 and changed(1).max() <= 255
