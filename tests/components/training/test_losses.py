"""The losses by hand, by finite differences, and where classes, images or right answers run out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from components.core.errors import DataError
from components.training.losses import (
    ClassMap,
    Distance,
    FlipConstraint,
    flip_surrogate,
    inhibition_distance,
    kl_distance,
    logit_distance,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(labels: list[int], num_classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), num_classes).double()


def test_focal_logit_matching_by_hand() -> None:
    old, new = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, 3.0]])
    right = ClassMap.same(2).right(old, one_hot([0, 0], 2))
    assert right.tolist() == [True, False]
    # first: right, (1 + 5) * 0.5 * (1 + 1) / 2 = 3; second: wrong, 1 * 0.5 * 4 / 2 = 1
    assert Distance().mean(old, new, right).item() == pytest.approx(2.0)


def test_kl_by_hand() -> None:
    old, new = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.25, 0.75]]))
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_distance(old, new, temperature=1.0).tolist() == pytest.approx([by_hand])


def test_kl_at_a_high_temperature_is_logit_matching_of_centred_logits() -> None:
    old, new = drawn(4, 10), drawn(4, 10, seed=1)
    centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (old, new)]
    assert kl_distance(old, new, temperature=1e4).tolist() == pytest.approx(logit_distance(*centred).tolist(), rel=1e-3)


def test_inhibition_by_hand() -> None:
    old, new = torch.tensor([[3.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.4, 2.0]])
    # differences 2, 0.4, 1: above 0.5 by 1.5, 0, 0.5
    assert inhibition_distance(old, new).tolist() == pytest.approx([(2.25 + 0.25) / 3])
    assert inhibition_distance(old, new, top_k=1).tolist() == pytest.approx([2.25])
    assert inhibition_distance(old, new, top_k=9).tolist() == pytest.approx([2.5 / 3]), "fewer classes than top_k"
    assert inhibition_distance(old, new, margin=0.0, power=1.0).tolist() == pytest.approx([3.4 / 3])


def test_surrogate_by_hand_counts_only_images_once_right() -> None:
    new = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]))
    found = flip_surrogate(new, one_hot([0, 0, 0], 2), torch.tensor([True, True, False]))
    assert found.item() == pytest.approx((1 + 2) / 2), "one bit and two bits"


@given(seed=st.integers(0, 500), num_classes=st.integers(2, 6))
def test_surrogate_is_never_under_the_flip_rate(seed: int, num_classes: int) -> None:
    new = 3 * drawn(12, num_classes, seed=seed)
    targets = one_hot([index % num_classes for index in range(12)], num_classes)
    right = torch.arange(12) % 3 > 0
    flips = (new.argmax(dim=1) != targets.argmax(dim=1))[right].double().mean()
    assert flip_surrogate(new, targets, right) >= flips - 1e-9


@pytest.mark.parametrize("form", ["logits", "kl", "inhibition"])
def test_distances_by_finite_differences(form: str) -> None:
    old, new = drawn(3, 4), drawn(3, 4, seed=1).requires_grad_()
    right = torch.tensor([True, False, True])
    distance = Distance(form=form, temperature=5.0, top_k=3)  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(lambda x: distance.mean(old, x, right), new)


def test_surrogate_by_finite_differences() -> None:
    new, targets = drawn(3, 4).requires_grad_(), one_hot([0, 1, 2], 4)
    assert torch.autograd.gradcheck(lambda x: flip_surrogate(x, targets, torch.tensor([True, False, True])), new)


@pytest.mark.parametrize("form", ["logits", "kl", "inhibition"])
def test_one_class_gives_finite_losses(form: str) -> None:
    old, new = drawn(3, 1), drawn(3, 1, seed=1).requires_grad_()
    right = ClassMap.same(1).right(old, torch.ones(3, 1))
    value = Distance(form=form).mean(old, new, right) + flip_surrogate(new, torch.ones(3, 1), right)  # type: ignore[arg-type]
    value.backward()  # type: ignore[no-untyped-call]
    assert value.isfinite() and new.grad is not None and new.grad.isfinite().all()
    assert flip_surrogate(new, torch.ones(3, 1), right) == 0, "with one class nothing can flip"


def test_nothing_to_keep_where_the_champion_was_always_wrong() -> None:
    new, targets = drawn(3, 2).requires_grad_(), one_hot([0, 1, 0], 2)
    never = torch.zeros(3, dtype=torch.bool)
    value = flip_surrogate(new, targets, never)
    value.backward()  # type: ignore[no-untyped-call]
    assert value == 0 and new.grad is not None and not new.grad.any()
    constraint = FlipConstraint(limit=0.1, rate=1.0)
    constraint.dual = 0.05
    constraint.penalty(new, targets, never)
    constraint.end_epoch()
    assert constraint.dual == 0.0, "an epoch without an image once right lets go, and divides nothing by zero"


def test_dual_rises_while_flips_exceed_the_limit_and_falls_after() -> None:
    constraint, targets = FlipConstraint(limit=0.25, rate=2.0, maximum=1.0), one_hot([0, 0], 2)
    always = torch.ones(2, dtype=torch.bool)
    broken, kept = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert constraint.penalty(broken, targets, always) == 0, "the first epoch goes unconstrained"
    constraint.end_epoch()
    assert constraint.dual == pytest.approx(2.0 * (0.5 - 0.25))
    assert constraint.penalty(broken, targets, always).item() == pytest.approx(
        0.5 * (flip_surrogate(broken, targets, always).item() - 0.25)
    )
    for _ in range(3):
        constraint.penalty(broken, targets, always)
        constraint.end_epoch()
    assert constraint.dual == 1.0, "and no higher than its maximum"
    constraint.penalty(kept, targets, always)
    constraint.end_epoch()
    assert constraint.dual == pytest.approx(0.5)
    again = FlipConstraint(limit=0.25, rate=2.0)
    again.restore(constraint.state())
    assert again.dual == constraint.dual


def test_a_student_with_more_classes_compares_those_that_both_know() -> None:
    """An image of a class that the champion did not know was never right, so it cannot be a negative flip."""
    classes = ClassMap.between(("cat", "dog"), ("bird", "dog", "cat"))
    old, new = torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([[9.0, 2.5, 1.5], [9.0, 2.5, 1.5]])
    assert [part.tolist() for part in classes.shared(old, new)] == [[[1.0, 2.0]] * 2, [[1.5, 2.5]] * 2]
    assert classes.right(old, one_hot([1, 0], 3)).tolist() == [True, False]


def test_a_student_that_lacks_a_class_of_the_champion() -> None:
    """Where the champion names the class that the student lacks it is never right: no label says that class."""
    classes = ClassMap.between(("cat", "dog"), ("dog",))
    old, new = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[0.5], [0.5]])
    assert classes.right(old, torch.ones(2, 1)).tolist() == [False, True]
    assert [part.tolist() for part in classes.shared(old, new)] == [[[1.0], [2.0]], [[0.5], [0.5]]]


def test_an_adapted_teacher_counts_only_the_classes_that_it_knows() -> None:
    """Inside a network with new classes the incumbent gives a floor for those that it lacks; it is no opinion."""
    classes = ClassMap.same(3, known=torch.tensor([True, False, True]))
    old, new = torch.tensor([[2.0, -99.0, 1.0]]), torch.tensor([[2.0, 50.0, 1.0]])
    assert Distance().mean(*classes.shared(old, new), classes.right(old, one_hot([0], 3))) == 0
    assert classes.right(old, one_hot([1], 3)).tolist() == [False]


def test_reordered_classes_are_matched_by_name() -> None:
    classes = ClassMap.between(("cat", "dog"), ("dog", "cat"))
    old = torch.tensor([[5.0, 1.0]])
    assert Distance().mean(*classes.shared(old, torch.tensor([[1.0, 5.0]])), torch.tensor([True])) == 0
    assert classes.right(old, one_hot([1], 2)).tolist() == [True]


def test_no_class_in_common_is_refused() -> None:
    with pytest.raises(DataError, match="share no class"):
        ClassMap.between(("cat",), ("dog",))
