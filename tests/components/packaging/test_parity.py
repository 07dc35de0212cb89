"""A Bento is started only if it is what was built, and its server ends whatever the workload says of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from components.core.errors import DataError, IntegrityError, UnavailableError
from components.core.workloads import Parity
from components.packaging.parity import check_parity

PASSED = Parity(num_samples=1, max_difference=0.0, tolerance=0.1)


def refuse(port: int, recording: Path) -> Parity:
    raise AssertionError("nothing is asked")


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_workload_is_asked_of_a_running_server_that_ends_with_its_answer(bento, tmp_path: Path) -> None:
    asked = []

    def compare(port: int, recording: Path) -> Parity:
        asked.append((port, recording, is_ready(port)))
        if len(asked) == 1:
            raise IntegrityError("another answer")
        return replace(PASSED, num_samples=0)

    with pytest.raises(IntegrityError, match="another answer"):
        check_parity(bento, tmp_path / "kept", compare=compare)
    with pytest.raises(DataError, match="holds no sample"):
        check_parity(bento, tmp_path / "kept", compare=compare)
    assert [(recording, ready) for _, recording, ready in asked] == [(tmp_path / "kept", True)] * 2
    assert not any(is_ready(port) for port, _, _ in asked)


def test_a_changed_bento_is_not_even_started(bento, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bento.path, changed)
    (changed / "src" / "components" / "serving" / "batching.py").write_text("")
    with pytest.raises(IntegrityError, match="changed after it was built"):
        check_parity(replace(bento, path=changed), tmp_path / "kept", compare=refuse)


def test_a_server_that_is_late_is_stopped(bento, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"did not start.*not ready after 0\.05 s"):
        check_parity(bento, tmp_path / "kept", compare=refuse, timeout_s=0.05)
