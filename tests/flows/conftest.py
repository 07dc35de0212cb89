"""A workspace with drawn sources that the tests of a module share, in order."""

import os
from collections.abc import Iterator

import pytest

from components.core.settings import Settings
from components.core.workspace import Workspace
from tests.flows.drawn import draw_sources, make_workspace


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A workspace and drawn sources that the tests of a module share, in order."""
    folder = tmp_path_factory.mktemp("release")
    kept = dict(os.environ)
    os.environ["DETENT_HOME"] = str(folder / "home")
    os.environ["DETENT_WORKSPACE"] = str(folder / "workspace")
    workspace = Workspace.from_settings(Settings())
    make_workspace(workspace)
    yield workspace, draw_sources(folder / "sources")
    os.environ.clear()
    os.environ.update(kept)
