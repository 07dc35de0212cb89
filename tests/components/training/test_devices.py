"""bf16 only where the processor multiplies in it; CUDA where there is one, and all tensors of a step on one device."""

import logging
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from components.core.errors import UnavailableError
from components.models.artefacts import ModelSpec
from components.models.foreign.exported import ExportedNetwork
from components.models.networks.merging import Merged
from components.models.networks.registry import build_network
from components.models.networks.subnets import Space, smallest
from components.models.networks.supernets import Supernet
from components.models.prediction import device_of
from components.training import batches, fitting, treatments
from components.training.batches import AugmentationRanges, LabelledPixels, TrainingData
from components.training.devices import choose_device, uses_bf16
from components.training.family.supernet import SandwichLoss
from components.training.fitting import FitOptions
from components.training.losses import Distance
from components.training.treatments import Teacher, TreatedLoss

ARCHITECTURE = {"family": "convnet", "num_classes": 2, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 1}
SPACE = Space(num_classes=2, widths=((4, 8), (8, 12)), depths=((1,), (1, 2)), kernels=((3,),) * 3, sizes_px=(16,))
SPEC = ModelSpec(architecture=ARCHITECTURE, classes=("dark", "light"), size_px=16)
CPU = torch.device("cpu")


def pretend(monkeypatch: pytest.MonkeyPatch, **units: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "drawn", "avx2": True, **units})


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_a_processor_with_bf16_uses_it_unless_told_otherwise(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, **{unit: True})
    assert uses_bf16("auto", CPU) and uses_bf16("bf16", CPU) and not uses_bf16("float32", CPU)


def test_a_processor_without_bf16_uses_float32_and_warns_who_insists(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch, avx512_bf16=False)
    with caplog.at_level(logging.WARNING):
        assert not uses_bf16("auto", CPU) and not uses_bf16("float32", CPU)
        assert not caplog.records
        assert uses_bf16("bf16", CPU)
    assert "training.precision" in caplog.text


def test_cuda_where_there_is_none_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UnavailableError, match="set it to auto"):
        choose_device("cuda")


def test_what_came_by_torch_export_keeps_training_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    program = ExportedNetwork({"input": "x", "output": "x", "nodes": [], "tensors": {}})
    assert choose_device("auto", build_network(ARCHITECTURE)) == torch.device("cuda")
    assert choose_device("auto", nn.Sequential(program)) == torch.device("cpu")
    assert "torch.export" in caplog.text


def moved(network: nn.Module, place: object = None, *, device: object = None, **_: object) -> nn.Module:
    """`nn.Module.to` for tensors without data, which torch's own cannot move."""
    wanted = torch.device(str(device or place or device_of(network)))
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.detach().to(wanted), parameter.requires_grad)
        for name, tensor in module._buffers.items():
            module._buffers[name] = None if tensor is None else tensor.to(wanted)
    return network


def taught_by(old: nn.Module, **options: Any) -> TreatedLoss:
    """Distillation from a champion of other classes, another side and another normalisation."""
    spec = ModelSpec(architecture=ARCHITECTURE, classes=("light", "dark"), size_px=8, mean=(0.4, 0.4, 0.4))
    return TreatedLoss(label_smoothing=0.1, weight=1.0, incumbent=Teacher([old], spec, student=SPEC), **options)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("form", ["logits", "kl", "inhibition"])
@pytest.mark.parametrize("treatment", ["taught", "merged", "family"])
def test_steps_on_cuda_mix_no_devices(
    treatment: str, form: Literal["logits", "kl", "inhibition"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward and averaging, with tensors that have a place but no data; torch checks places as if there were a GPU."""
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(treatments, "copy", SimpleNamespace(deepcopy=lambda _: build_network(ARCHITECTURE)))
    monkeypatch.setattr(fitting, "PLAIN_TAIL", 2.0)  # mixing asks for a number, and there are none
    monkeypatch.setattr(batches, "v2", MagicMock())
    places: list[str] = []
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: places.append(loss.device.type))  # torch's needs a GPU
    pixels = LabelledPixels(pixels=np.zeros((16, 16, 16, 3), np.uint8), labels=np.arange(16) % 2)
    data = TrainingData(photos=pixels, synthetic=pixels, synthetic_share=0.25)
    options = FitOptions(
        epochs=1, batch=8, learning_rate=0.01, weight_decay=0.01, patience_epochs=1, seed=0,
        precision="bf16", device="cuda", ranges=AugmentationRanges(zoom=0.7, turn_deg=10.0, mix_share=0.5),
    )  # fmt: skip
    made: dict[str, Callable[[], nn.Module]] = {
        "taught": lambda: build_network(ARCHITECTURE),
        "merged": lambda: Merged(build_network(ARCHITECTURE), build_network(ARCHITECTURE)),
        "family": lambda: Supernet(SPACE),
    }
    with FakeTensorMode(allow_non_fake_inputs=True):
        old, (network, average) = build_network(ARCHITECTURE), (made[treatment](), made[treatment]())
        loss: Any = taught_by(old, distance=Distance(form=form))
        if treatment == "merged":
            loss = replace(loss, incumbent=None)
        if treatment == "family":
            loss = SandwichLoss(space=SPACE, first=loss)
            monkeypatch.setattr(SandwichLoss, "_others", lambda _: iter([smallest(SPACE)]))
        for each in (network, average):
            each.to(device="cuda")
        optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad])
        fitting._run_epoch(network, average, data, SPEC, optimizer=optimizer, options=options, loss=loss, epoch=0)
    assert places and set(places) == {"cuda"}
    assert device_of(old).type == "cpu", "a champion's network is others' too, and stays"
