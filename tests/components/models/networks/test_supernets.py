"""Every member is a slice: contained byte for byte, extracted it answers bit for bit as inside, also from disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import DataError, IntegrityError
from components.models.artefacts import ModelSpec, load_model, save_model
from components.models.networks.calibration import calibrate
from components.models.networks.slicing import check_contained, is_statistic, share_weights
from components.models.networks.subnets import Space, SubnetSpec, largest, sample_spec, smallest
from components.models.networks.supernets import Supernet, extract, load_supernet, save_supernet
from tests.components.models.networks.members import holds

SPACE = Space(
    num_classes=3, widths=((4, 6), (8, 12)), depths=((1, 2), (1, 2)), kernels=((3, 5), (3,), (3, 5)), sizes_px=(8, 12)
)
CLASSES = ("a", "b", "c")
seeds = st.integers(0, 2**32 - 1)


def used(*, channels_last: bool = False) -> Supernet:
    """A supernet whose statistics and weights are not those of a fresh one."""
    torch.manual_seed(0)
    supernet = Supernet(SPACE)
    for name, tensor in supernet.largest.state_dict().items():
        if tensor.dtype.is_floating_point and ("norm" in name or is_statistic(name)):
            tensor.uniform_(0.5, 1.5)
    if channels_last:
        supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet.eval()


def images(num: int = 6, side: int = 12) -> torch.Tensor:
    return torch.randn(num, 3, side, side, generator=torch.Generator().manual_seed(1))


def drawn(seed: int) -> SubnetSpec:
    return sample_spec(SPACE, np.random.default_rng(seed))


@given(seeds, st.booleans())
@settings(max_examples=12)
def test_an_extracted_member_answers_bit_for_bit_as_its_slice(seed: int, channels_last: bool) -> None:
    supernet, spec = used(channels_last=channels_last), drawn(seed)
    network, _ = extract(supernet, spec)
    x = images(side=spec.size_px)
    with torch.inference_mode():
        assert torch.equal(network(x), supernet(x, spec))


def test_bits_survive_the_disk(tmp_path: Path) -> None:
    supernet = used(channels_last=True)
    for seed in range(3):
        spec = drawn(seed)
        network, architecture = extract(supernet, spec)
        save_model(tmp_path / "m", network, ModelSpec(architecture=architecture, classes=CLASSES, size_px=spec.size_px))
        x = images(side=spec.size_px)
        with torch.inference_mode():
            assert torch.equal(load_model(tmp_path / "m").network(x), supernet(x, spec))


@given(seeds)
@settings(max_examples=12)
def test_larger_members_contain_smaller_ones_byte_for_byte(seed: int) -> None:
    supernet, rng = used(), np.random.default_rng(seed)
    a, b = sample_spec(SPACE, rng), sample_spec(SPACE, rng)
    for larger, smaller in ((a, b), (b, a), (largest(SPACE), a), (b, smallest(SPACE))):
        states = [extract(supernet, spec)[0].state_dict() for spec in (larger, smaller)]
        if holds(larger, smaller):
            check_contained(*states)
        else:
            with pytest.raises(IntegrityError):
                check_contained(*states)


@given(st.data())
@settings(max_examples=12)
def test_one_changed_weight_is_named(data: st.DataObject) -> None:
    supernet = used(channels_last=True)
    large, small = supernet.largest.state_dict(), extract(supernet, smallest(SPACE))[0].state_dict()
    check_contained(large, small)
    name = data.draw(st.sampled_from(sorted(n for n in small if not is_statistic(n))))
    position = data.draw(st.integers(0, small[name].numel() - 1))
    bits = small[name].view(torch.int32).reshape(-1)
    bits[position] ^= 1  # the lowest bit of one weight
    index = [int(i) for i in np.unravel_index(position, tuple(small[name].shape))]
    with pytest.raises(IntegrityError) as caught:
        check_contained(large, small)
    assert str(caught.value).startswith(f"{name} differs at {index}: ") and "(1 of " in str(caught.value)


def test_statistics_are_each_members_own() -> None:
    supernet = used()
    network, _ = extract(supernet, smallest(SPACE))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert calibrate(network, images(8, 8)) == 6
    check_contained(supernet.largest.state_dict(), network.state_dict())
    with pytest.raises(IntegrityError, match="running_mean"):
        check_contained(supernet.largest.state_dict(), network.state_dict(), statistics=True)
    moved = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    assert moved and all(is_statistic(name) for name in moved)


def test_training_a_member_moves_only_its_slice_and_no_statistics() -> None:
    supernet = used().train()
    before = {name: tensor.clone() for name, tensor in supernet.largest.state_dict().items()}
    supernet.trained_logits(images(), smallest(SPACE)).square().mean().backward()
    gradient = supernet.largest.stages[0][0].conv1.weight.grad  # type: ignore[index,union-attr]
    assert gradient[:4, :4].abs().sum() > 0 and gradient[4:].abs().sum() == 0  # type: ignore[index]
    after = supernet.largest.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    supernet.trained_logits(images())
    assert not torch.equal(supernet.largest.state_dict()["stem.1.running_mean"], before["stem.1.running_mean"])


def test_the_supernet_survives_the_disk(tmp_path: Path) -> None:
    supernet, spec = used(), drawn(3)
    save_supernet(tmp_path / "family", supernet, ModelSpec(architecture={}, classes=CLASSES, size_px=12))
    again, _ = load_supernet(tmp_path / "family")
    x = images(side=spec.size_px)
    with torch.inference_mode():
        assert again.space == SPACE and torch.equal(again(x, spec), supernet(x, spec))


def test_a_plain_model_is_no_supernet(tmp_path: Path) -> None:
    network, architecture = extract(used(), smallest(SPACE))
    save_model(tmp_path / "m", network, ModelSpec(architecture=architecture, classes=CLASSES, size_px=8))
    with pytest.raises(DataError, match="names no space"):
        load_supernet(tmp_path / "m")


def test_weights_shared_with_an_incumbent_are_its_slice() -> None:
    torch.manual_seed(9)
    incumbent, _ = extract(Supernet(SPACE), smallest(SPACE))
    supernet = used()
    supernet.share(incumbent.state_dict())
    assert torch.equal(supernet.eval()(images(side=8), smallest(SPACE)), incumbent(images(side=8)))
    check_contained(supernet.largest.state_dict(), incumbent.state_dict(), statistics=True)
    step(supernet)
    with pytest.raises(IntegrityError):
        check_contained(extract(supernet, largest(SPACE))[0].state_dict(), incumbent.state_dict())


def test_kept_weights_stay_their_bytes_through_training() -> None:
    torch.manual_seed(9)
    incumbent, _ = extract(Supernet(SPACE), smallest(SPACE))
    supernet = used()
    supernet.share(incumbent.state_dict(), keep=True)
    for _ in range(3):
        step(supernet)
    member, _ = extract(supernet, drawn(5))
    check_contained(member.state_dict(), incumbent.state_dict())


def step(supernet: Supernet) -> None:
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=0.01, weight_decay=0.1)
    supernet.train()
    supernet.trained_logits(images()).square().mean().backward()
    optimizer.step()


def test_classes_that_came_and_went_move_rows_of_the_head() -> None:
    torch.manual_seed(9)
    incumbent = extract(Supernet(SPACE), smallest(SPACE))[0].state_dict()
    larger = used().largest.state_dict()
    rows = [2, -1, 0]  # the incumbent's second class was retired
    share_weights(larger, incumbent, rows=rows)
    check_contained(larger, incumbent, rows=rows)
    assert torch.equal(larger["head.bias"][[2, 0]], incumbent["head.bias"][[0, 2]])
    with pytest.raises(IntegrityError, match=r"head\.weight differs"):
        check_contained(larger, incumbent)


@pytest.mark.parametrize("missing", ["stages.1.1.conv1.weight", "head.bias"])
def test_a_missing_tensor_is_named(missing: str) -> None:
    small = extract(used(), largest(SPACE))[0].state_dict()
    large = {name: tensor for name, tensor in small.items() if name != missing}
    with pytest.raises(IntegrityError, match=missing):
        check_contained(large, small)


def test_other_types_of_number_are_no_containment() -> None:
    state = extract(used(), smallest(SPACE))[0].state_dict()
    with pytest.raises(IntegrityError, match="bfloat16"):
        check_contained({name: tensor.bfloat16() for name, tensor in state.items()}, state)
