import subprocess
import sys
from collections.abc import Iterator

import pytest

from components.core.errors import ConfigError, UnavailableError
from components.synthesis.renders import backends
from components.synthesis.renders.backends import Backend, available, choose_backend, remedy


@pytest.fixture(autouse=True)
def fresh_probe() -> Iterator[None]:
    available.cache_clear()
    yield
    available.cache_clear()


def stub_probe(monkeypatch: pytest.MonkeyPatch, working: set[str]) -> list[str]:
    tried: list[str] = []

    def probe(name: str, library: str | None) -> tuple[bool, str]:
        tried.append(library or name)
        return (library or name) in working, ""

    monkeypatch.setattr(backends, "_probe", probe)
    monkeypatch.setattr(backends, "_has_cuda", lambda: "cuda" in working)
    monkeypatch.setattr(backends, "_llvm_libraries", lambda _: ["/bad/libLLVM-15.so", "/good/libLLVM-19.so"])
    monkeypatch.delenv(backends.CHOICE_VARIABLE, raising=False)
    return tried


def test_the_first_library_that_renders_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = stub_probe(monkeypatch, {"/good/libLLVM-19.so"})
    assert choose_backend() == Backend(name="llvm", library="/good/libLLVM-19.so")
    assert tried == ["/bad/libLLVM-15.so", "/good/libLLVM-19.so"]
    choose_backend("llvm")
    assert len(tried) == 2, "a probe costs seconds and is made once"


def test_cuda_goes_first_and_scalar_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_probe(monkeypatch, {"cuda", "/good/libLLVM-19.so"})
    assert [backend.name for backend in available()] == ["cuda", "llvm", "scalar"]
    available.cache_clear()
    stub_probe(monkeypatch, set())
    assert [backend.name for backend in available()] == ["scalar"]
    assert "libllvm19" in remedy() and "/bad/libLLVM-15.so" in remedy()
    with pytest.raises(UnavailableError, match="libllvm19"):
        choose_backend("llvm")


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = stub_probe(monkeypatch, set())
    monkeypatch.setenv(backends.CHOICE_VARIABLE, "scalar")
    assert choose_backend().variant == "scalar_rgb" and not tried
    monkeypatch.setenv(backends.CHOICE_VARIABLE, "quick")
    with pytest.raises(ConfigError, match="DETENT_RENDER_BACKEND is 'quick', allowed are auto"):
        choose_backend()


def test_a_library_that_aborts_the_process_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_PROBE", "import os; os.abort()")
    assert backends._probe("llvm", "/nowhere/libLLVM.so")[0] is False
    monkeypatch.setattr(backends, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(backends, "_PROBE_TIMEOUT_S", 0.2)
    assert backends._probe("llvm", None)[0] is False
    monkeypatch.setattr(backends, "_PROBE", "import sys; assert sys.argv[1] == 'llvm_ad_rgb'")
    monkeypatch.setattr(backends, "_PROBE_TIMEOUT_S", 60)
    assert backends._probe("llvm", None)[0] is True


def test_a_library_named_in_the_environment_is_the_only_candidate() -> None:
    assert backends._llvm_libraries({backends.LIBRARY_VARIABLE: "/mine/libLLVM.so"}) == ["/mine/libLLVM.so"]
    found = backends._llvm_libraries({})
    assert len(found) == len(set(found))


def test_importing_the_probe_imports_no_renderer() -> None:
    code = "import sys, components.synthesis.renders.backends; sys.exit('mitsuba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
