"""The doctor names what is broken and how to mend it, and calls nothing healthy that it did not look at."""

from typing import Any

import pytest

from components.synthesis.renders import backends
from flows.commands import doctor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def finding(value: Any, name: str) -> dict[str, Any]:
    (found,) = [item for item in value["findings"] if item["name"] == name]
    return found


def test_a_whole_machine_is_healthy() -> None:
    answer = doctor.examine()
    assert answer.exit_code == 0 and answer.value["healthy"]
    assert finding(answer.value, "Prefect server")["found"] == "embedded"


def test_a_dead_prefect_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    answer = doctor.examine()
    assert answer.exit_code == 1
    assert "prefect server start" in finding(answer.value, "Prefect server")["remedy"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "REQUIRED", ("a-package-that-is-not-there",))
    answer = doctor.examine()
    assert answer.exit_code == 1
    assert finding(answer.value, "a-package-that-is-not-there")["remedy"] == "run `make setup`"


def test_a_journal_that_does_not_open_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_JOURNAL_URL", "nonsense://somewhere")
    answer = doctor.examine()
    assert answer.exit_code == 1 and finding(answer.value, "journal")["verdict"] == "broken"


def test_a_slow_renderer_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "/nowhere/libLLVM.so")
    backends.available.cache_clear()
    answer = doctor.examine()
    backends.available.cache_clear()
    assert answer.exit_code == 0
    found = finding(answer.value, "renderer")
    assert (found["verdict"], found["found"]) == ("optional", "scalar") or found["found"] == "cuda"
    assert "libllvm19" in found["remedy"] or found["found"] == "cuda"
