"""A recipe's switches add up to one loss: each alone, together, and bit for bit nothing where all are off."""

import pytest
import torch
from torch import Tensor, nn

from components.core.errors import ConfigError
from components.models.artefacts import ModelSpec
from components.models.networks.growth import Grown
from components.models.networks.registry import build_network
from components.training.losses import Distance, FlipConstraint, flip_surrogate
from components.training.treatments import Teacher, TreatedLoss

SMALL = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1], "stem_stride": 2}
LARGE = {"family": "grown", "inner": SMALL, "outer": SMALL}
SPEC = ModelSpec(architecture=SMALL, classes=("a", "b"), size_px=8)


class Linear(nn.Module):
    """Logits of chosen weights on the mean colour."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(rows))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) @ self.weight.T


def images(*, side: int = 8) -> Tensor:
    return torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(1))


def targets() -> Tensor:
    return torch.eye(2)[[0, 1, 0, 1, 0, 1]]


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network(SMALL).eval()


@pytest.fixture
def grown() -> Grown:
    torch.manual_seed(0)
    made = build_network(LARGE).eval()
    assert isinstance(made, Grown)
    return made


def old() -> Linear:
    return Linear([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])


def test_all_switches_off_is_cross_entropy(network: nn.Module) -> None:
    expected = nn.functional.cross_entropy(network(images()), targets(), label_smoothing=0.1)
    assert torch.equal(TreatedLoss(label_smoothing=0.1)(network, images(), targets()), expected)


def test_a_grown_network_learns_by_the_cross_entropy_of_its_new_part(grown: Grown) -> None:
    own = nn.functional.cross_entropy(grown.parts(images())[1], targets())
    assert torch.equal(TreatedLoss(label_smoothing=0.0)(grown, images(), targets()), own)
    assert TreatedLoss(label_smoothing=0.0, weight=1.0)(grown, images(), targets()) > own


def test_distillation_adds_its_weighted_distance_to_the_champion(network: nn.Module) -> None:
    teacher = Teacher([old()], SPEC, student=SPEC)
    plain = TreatedLoss(label_smoothing=0.0)(network, images(), targets())
    logits = old()(images())
    distance = Distance(form="kl").mean(logits, network(images()), logits.argmax(1) == targets().argmax(1))
    found = TreatedLoss(label_smoothing=0.0, weight=0.3, distance=Distance(form="kl"), incumbent=teacher)
    assert found(network, images(), targets()).item() == pytest.approx((plain + 0.3 * distance).item(), rel=1e-5)


def test_contained_and_constrained_and_inhibited_at_once(grown: Grown) -> None:
    constraint = FlipConstraint(limit=0.1, rate=1.0)
    constraint.dual = 2.0
    inner, new = grown.parts(images())
    right = inner.argmax(1) == targets().argmax(1)
    expected = (
        nn.functional.cross_entropy(new, targets())
        + 0.5 * Distance(form="inhibition", margin=0.1).mean(inner, new, right)
        + 2.0 * (flip_surrogate(new, targets(), right) - 0.1)
    )
    loss = TreatedLoss(
        label_smoothing=0.0, weight=0.5, distance=Distance(form="inhibition", margin=0.1), constraint=constraint
    )
    assert loss(grown, images(), targets()).item() == pytest.approx(expected.item(), rel=1e-5)
    loss.end_epoch()
    again = TreatedLoss(label_smoothing=0.0, constraint=FlipConstraint(limit=0.1, rate=1.0))
    again.restore(loss.state())
    assert again.constraint is not None and again.constraint.dual == constraint.dual != 2.0


def test_an_ensemble_teaches_its_mean_while_the_champion_s_answers_are_kept(network: nn.Module) -> None:
    second = Linear([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    ensemble = Teacher([old(), second], SPEC, student=SPEC)
    assert torch.allclose(ensemble(images()), (old()(images()) + second(images())) / 2)
    constraint = FlipConstraint(limit=0.1, rate=1.0)
    champion = Teacher([old()], SPEC, student=SPEC)
    TreatedLoss(label_smoothing=0.0, weight=1.0, teacher=ensemble, incumbent=champion, constraint=constraint)(
        network, images(), targets()
    )
    assert constraint._num_right == int((old()(images()).argmax(1) == targets().argmax(1)).sum())


def test_the_teacher_s_own_preprocessing_is_undone_and_done() -> None:
    """The student's normalisation and side are not the teacher's: it must see what it was trained on."""
    own = ModelSpec(architecture=SMALL, classes=("a", "b"), size_px=8, mean=(0.0, 0.5, 0.0), std=(1.0, 0.5, 2.0))
    pixels = torch.rand(2, 3, 8, 8)
    seen = (pixels - torch.tensor(SPEC.mean).view(1, 3, 1, 1)) / torch.tensor(SPEC.std).view(1, 3, 1, 1)
    wanted = (pixels - torch.tensor(own.mean).view(1, 3, 1, 1)) / torch.tensor(own.std).view(1, 3, 1, 1)
    assert torch.allclose(Teacher([old()], own, student=SPEC)(seen), old()(wanted), atol=1e-5)
    smaller = ModelSpec(architecture=SMALL, classes=("a", "b"), size_px=4)
    sides = []
    teacher = Teacher([nn.Sequential(old())], smaller, student=SPEC)
    teacher._networks[0].register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    teacher(seen)
    assert sides == [4]


def test_a_champion_with_other_classes_teaches_by_name(network: nn.Module) -> None:
    grown_classes = ModelSpec(architecture=SMALL, classes=("z", "b"), size_px=8)
    teacher = Teacher([old()], grown_classes, student=SPEC)
    value = TreatedLoss(label_smoothing=0.0, weight=1.0, incumbent=teacher)(network, images(), targets())
    logits, new = old()(images()), network(images())
    right = (logits.argmax(1) == 1) & (targets().argmax(1) == 1)
    expected = ((1 + 5 * right.float()) * 0.5 * (new[:, 1] - logits[:, 1]).square()).mean()
    expected = expected + nn.functional.cross_entropy(new, targets())
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_teacher_is_not_trained(network: nn.Module) -> None:
    asked = old()
    TreatedLoss(label_smoothing=0.0, weight=1.0, incumbent=Teacher([asked], SPEC, student=SPEC))(
        network, images(), targets()
    ).backward()  # type: ignore[no-untyped-call]
    assert asked.weight.grad is None
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_nobody_to_learn_from_is_refused(network: nn.Module) -> None:
    with pytest.raises(ConfigError, match="no champion to ask"):
        TreatedLoss(label_smoothing=0.0, weight=1.0)(network, images(), targets())
    with pytest.raises(ConfigError, match="at least one network"):
        Teacher([], SPEC, student=SPEC)
