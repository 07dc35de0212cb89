"""Every test has a home of its own and no telemetry; hypothesis has no deadline, since machines are shared."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from components.core.settings import QUIET

settings.register_profile("detent", deadline=None)
settings.load_profile("detent")
os.environ.update(QUIET)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Point DETENT_HOME into the test's folder, unless a module keeps one for all its tests."""
    if "release" not in request.fixturenames:
        monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("DETENT_WORKSPACE", raising=False)
    yield
