"""bf16 only where the processor multiplies in it, unless it is asked for by name; then a warning."""

import logging

import pytest
import torch

from components.training.precision import uses_bf16


def pretend(monkeypatch: pytest.MonkeyPatch, **units: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "drawn", "avx2": True, **units})


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_a_processor_with_bf16_uses_it_unless_told_otherwise(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, **{unit: True})
    assert uses_bf16("auto") and uses_bf16("bf16") and not uses_bf16("float32")


def test_a_processor_without_bf16_uses_float32_and_warns_who_insists(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch, avx512_bf16=False)
    with caplog.at_level(logging.WARNING):
        assert not uses_bf16("auto") and not uses_bf16("float32")
        assert not caplog.records
        assert uses_bf16("bf16")
    assert "training.precision" in caplog.text
