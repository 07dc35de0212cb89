"""Notices go to the log, or through apprise where it is installed."""

from __future__ import annotations

import logging
import sys

import pytest

from components.core.errors import ConfigError, UnavailableError
from components.promotion.audit import history
from components.promotion.notices import Notice, apprise_notifier, log_notice
from tests.components.promotion.cast import Story

# apprise loads all its services, some of which warn as they are imported
with_apprise = pytest.mark.filterwarnings("ignore")


def notice_of(story: Story) -> Notice:
    story.propose("a")
    return Notice(row=history(story.journal)[0])


def test_the_log_is_the_default(sqlite_story: Story, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "detent.promotion"):
        log_notice(notice_of(sqlite_story))
    assert "proposed #1: products / grocery, by eve: the gate said PROMOTE of version a" in caplog.text


def test_without_apprise_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UnavailableError, match=r"detent\[notify\]"):
        apprise_notifier(["json://localhost"])


@with_apprise
def test_apprise_carries_title_and_reason(sqlite_story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    apprise = pytest.importorskip("apprise")
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(apprise.Apprise, "notify", lambda self, body, title: sent.append((title, body)) or True)
    apprise_notifier(["json://localhost"])(notice_of(sqlite_story))
    assert sent == [("proposed #1: products / grocery, by eve", "the gate said PROMOTE of version a")]


@with_apprise
def test_an_undelivered_notice_is_logged(
    sqlite_story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apprise = pytest.importorskip("apprise")
    monkeypatch.setattr(apprise.Apprise, "notify", lambda self, body, title: False)
    apprise_notifier(["json://localhost"])(notice_of(sqlite_story))
    assert "was not delivered: proposed #1" in caplog.text


@with_apprise
def test_an_address_that_apprise_does_not_know_is_refused() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(ConfigError, match="notification address 2"):
        apprise_notifier(["json://localhost", "nonsense://"])
