"""A family is trained at once: every end of it learns, a killed run goes on to the bit, members stay contained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import ConfigError, DataError
from components.models.artefacts import LoadedModel, ModelSpec
from components.models.networks.calibration import resized
from components.models.networks.registry import build_network
from components.models.networks.slicing import check_contained
from components.models.networks.subnets import Space, SubnetSpec, architecture_of, largest, smallest, space_around
from components.models.networks.supernets import Supernet, family_around
from components.models.prediction import normalise
from components.training.answers import resized_pixels
from components.training.batches import AugmentationRanges, LabelledPixels, TrainingData
from components.training.family.supernet import (
    MIN_PHOTOS,
    MemberBench,
    SandwichLoss,
    calibration_images,
    fit_family,
)
from components.training.fitting import FitOptions, FitSummary
from tests.components.models.networks.members import every_member

SPACE = Space(
    num_classes=2, widths=((4, 8), (8, 12)), depths=((1, 2), (1,)), kernels=((3, 5), (3,), (3,)), sizes_px=(8, 12)
)
SPEC = ModelSpec(architecture={}, classes=("dark", "light"), size_px=12)
RANGES = AugmentationRanges(zoom=0.7, turn_deg=10, mix_share=0.5)


class KilledError(Exception):
    """Stands for the end of the process."""


class CrossEntropy:
    """The largest member's loss; dies at a given call, as a process does."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.calls = 0
        self.dies_at = dies_at

    def __call__(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.dies_at:
            raise KilledError
        return F.cross_entropy(network(images).float(), targets)


def drawn(num: int, *, seed: int = 0) -> LabelledPixels:
    """Dark and light squares with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    pixels = rng.integers(0, 90, (num, 12, 12, 3)) + labels[:, None, None, None] * 120
    return LabelledPixels(pixels=pixels.astype(np.uint8), labels=labels)


DATA = TrainingData(photos=drawn(48), synthetic=drawn(0), synthetic_share=0.0)


def bench() -> MemberBench:
    return MemberBench(spec=SPEC, calibration=calibration_images(DATA, SPEC, num=32), images=drawn(40, seed=9))


def fitted(
    checkpoint: Path, *, supernet: Supernet | None = None, dies_at: int | None = None, epochs: int = 3
) -> tuple[Supernet, FitSummary]:
    torch.manual_seed(0)
    family = supernet or Supernet(SPACE)
    options = FitOptions(
        epochs=epochs,
        batch=16,
        learning_rate=0.02,
        weight_decay=0.01,
        patience_epochs=9,
        seed=3,
        precision="float32",
        device="cpu",
        ranges=RANGES,
    )
    loss = SandwichLoss(space=family.space, first=CrossEntropy(dies_at))
    return family, fit_family(family, DATA, bench=bench(), options=options, loss=loss, checkpoint=checkpoint)


def test_both_ends_learn_and_hold_each_other(tmp_path: Path) -> None:
    family, summary = fitted(tmp_path / "c", epochs=6)
    assert summary.best_score > 0.9
    made = {spec: bench().member(family, spec) for spec in every_member(SPACE)}
    for spec, (network, described) in made.items():
        assert described.size_px == spec.size_px and described.architecture == architecture_of(SPACE, spec)
        check_contained(family.largest.state_dict(), network.state_dict())
        check_contained(network.state_dict(), made[smallest(SPACE)][0].state_dict())
    assert bench().accuracy(family, smallest(SPACE)) > 0.85


def test_resumed_after_a_kill_is_bit_identical(tmp_path: Path) -> None:
    whole, _ = fitted(tmp_path / "a")
    with pytest.raises(KilledError):
        fitted(tmp_path / "b", dies_at=5)
    assert (tmp_path / "b").is_file()
    resumed, summary = fitted(tmp_path / "b")
    assert summary.epochs_run == 3
    states = [family.state_dict() for family in (whole, resumed)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_others_learn_from_the_largest_and_not_from_the_labels() -> None:
    torch.manual_seed(0)
    family = Supernet(SPACE).train()
    images = torch.randn(8, 3, 12, 12)
    loss = SandwichLoss(space=SPACE, first=lambda network, x, _: network(x).sum() * 0.0, num_random=0)
    value = loss(family, images, torch.full((8, 2), torch.nan))
    taught = family.trained_logits(images).softmax(1)
    expected = F.cross_entropy(family.trained_logits(images, smallest(SPACE)), taught) / 2
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    head = family.largest.head.weight.grad  # type: ignore[union-attr]
    assert head[:, 8:].abs().sum() == 0, "the largest one's probabilities are targets, not trained by the others"  # type: ignore[index]


@pytest.mark.parametrize("num_random", [0, 1, 3])
def test_each_step_asks_the_ends_and_as_many_drawn_members_as_are_asked_for(
    num_random: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SubnetSpec | None] = []
    real = Supernet.trained_logits

    def noting(self: Supernet, x: Tensor, spec: SubnetSpec | None = None) -> Tensor:
        asked.append(spec)
        return real(self, x, spec)

    monkeypatch.setattr(Supernet, "trained_logits", noting)
    family = Supernet(SPACE).train()
    loss = SandwichLoss(space=SPACE, first=lambda network, x, _: network(x).square().mean(), num_random=num_random)
    for seed in range(12):
        torch.manual_seed(seed)
        loss(family, torch.randn(2, 3, 12, 12), torch.zeros(2, 2))
    steps = [asked[start : start + 2 + num_random] for start in range(0, len(asked), 2 + num_random)]
    assert len(steps) == 12 and {tuple(step[:2]) for step in steps} == {(None, smallest(SPACE))}
    others = {spec for step in steps for spec in step[2:]}
    assert len(others) >= min(4, 12 * num_random), "drawn anew in each step"


def test_a_members_statistics_are_those_of_its_own_slice() -> None:
    """The running statistics of training are the largest member's alone; a slice of them fits no other."""
    torch.manual_seed(0)
    member, _ = bench().member(Supernet(SPACE), smallest(SPACE))
    seen: list[Tensor] = []
    stem = member.stem  # type: ignore[union-attr]
    stem[0].register_forward_hook(lambda *call: seen.append(call[2].detach()))  # type: ignore[index,union-attr,operator]
    member(resized(bench().calibration, smallest(SPACE).size_px))
    norm = next(layer for layer in stem if isinstance(layer, nn.BatchNorm2d))  # type: ignore[union-attr]
    assert torch.allclose(norm.running_mean, seen[0].mean(dim=(0, 2, 3)), atol=1e-5)  # type: ignore[arg-type]


def test_a_family_of_one_member_is_a_plain_fit(tmp_path: Path) -> None:
    only = Space(num_classes=2, widths=((4,), (8,)), depths=((1,), (1,)), kernels=((3,),) * 3, sizes_px=(12,))
    family, _ = fitted(tmp_path / "c", supernet=Supernet(only), epochs=1)
    loss = SandwichLoss(space=only, first=lambda network, x, _: network(x).square().mean())
    images = torch.randn(4, 3, 12, 12)
    found = loss(family, images, torch.zeros(4, 2)).item()
    assert found == pytest.approx(family(images).square().mean().item(), rel=1e-5)


def test_a_family_around_an_incumbent_leaves_it_whole(tmp_path: Path) -> None:
    torch.manual_seed(7)
    architecture = {"family": "convnet", "num_classes": 2, "widths": [4, 8], "blocks": [1, 1]}
    old = LoadedModel(
        network=build_network(architecture).eval(),
        spec=ModelSpec(architecture=architecture, classes=SPEC.classes, size_px=12),
        digest="of the incumbent",
    )
    before = {name: tensor.clone() for name, tensor in old.network.state_dict().items()}
    space = space_around(architecture, sizes_px=(12,), wider=True)
    family, _ = fitted(tmp_path / "c", supernet=family_around(old, SPEC, space), epochs=2)
    network, _ = bench().member(family, largest(space))
    check_contained(network.inner.state_dict(), before, statistics=True)  # type: ignore[union-attr]


def test_weights_shared_and_kept_are_the_incumbents_after_training(tmp_path: Path) -> None:
    torch.manual_seed(7)
    incumbent = build_network(architecture_of(SPACE, smallest(SPACE))).state_dict()
    family = Supernet(SPACE)
    family.share(incumbent, keep=True)
    fitted(tmp_path / "c", supernet=family, epochs=2)
    check_contained(family.largest.state_dict(), incumbent)


def test_images_of_another_side_are_named(tmp_path: Path) -> None:
    wide = Space(num_classes=2, widths=((4,), (8,)), depths=((1,), (1,)), kernels=((3,),) * 3, sizes_px=(16,))
    with pytest.raises(ConfigError, match="largest side is 16 px"):
        fitted(tmp_path / "c", supernet=Supernet(wide))


def test_calibration_needs_images() -> None:
    nothing = TrainingData(photos=drawn(1), synthetic=drawn(0), synthetic_share=0.0)
    with pytest.raises(DataError, match="at least 2"):
        calibration_images(nothing, SPEC)
    assert calibration_images(DATA, SPEC, num=1000).shape == (48, 3, 12, 12), "each image once"


def test_few_photos_are_calibrated_on_together_with_synthetic_images() -> None:
    made = drawn(200, seed=3)
    for num_photos, wanted in ((0, 32), (1, 32), (MIN_PHOTOS - 1, 32), (MIN_PHOTOS, 32)):
        data = TrainingData(photos=drawn(num_photos), synthetic=made, synthetic_share=0.2)
        images = calibration_images(data, SPEC, num=32)
        assert len(images) == wanted
    one = TrainingData(photos=drawn(1), synthetic=made, synthetic_share=0.2)
    photo = normalise(torch.from_numpy(np.array(one.photos.pixels)), SPEC)
    calibrated = calibration_images(one, SPEC, num=32)
    assert torch.equal(calibrated[:1], photo) and len(calibrated) == 32


def test_smaller_copies_are_those_of_decoding() -> None:
    pixels = drawn(3).pixels
    assert resized_pixels(pixels, 12) is pixels
    assert resized_pixels(pixels, 8).shape == (3, 8, 8, 3)
