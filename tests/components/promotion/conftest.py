"""Journals on both stores, each test with a schema and a home of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.promotion.cast import Story, open_story
from tests.components.promotion.stores import DEFAULT_POSTGRES, POSTGRES, answers, own_schema


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    # these tests kill processes, which loses nothing that was written, synced or not
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def postgres() -> str:
    url = os.environ.get(POSTGRES, DEFAULT_POSTGRES)
    if not answers(url):
        pytest.skip(f"no PostgreSQL answers at {url}: set {POSTGRES} to the address of a database to test with")
    return url


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    with own_schema(postgres, options="-csynchronous_commit=off") as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'journal.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def story(url: str, tmp_path: Path) -> Iterator[Story]:
    story = open_story(url, tmp_path / "home")
    yield story
    story.close()


@pytest.fixture
def sqlite_story(sqlite_url: str, tmp_path: Path) -> Iterator[Story]:
    story = open_story(sqlite_url, tmp_path / "home")
    yield story
    story.close()
