"""Every test has a home of its own and no telemetry; hypothesis has no deadline, since machines are shared.

Prefect reads its settings when it is imported, so they are set here, before any test module is.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from components.core.settings import QUIET, STEADY

settings.register_profile("detent", deadline=None)
settings.load_profile("detent")
os.environ.update(QUIET | STEADY)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-of-tests-")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Point DETENT_HOME into the test's folder, unless a module keeps one for all its tests."""
    if "release" not in request.fixturenames:
        monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("DETENT_WORKSPACE", raising=False)
    yield
