"""Tells people what happened to a proposal or a champion; a notice that fails never undoes what it tells of.

`Notify` is any function of a Notice. The log is the default; apprise sends to webhooks, e-mail and chat.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.core.errors import ConfigError, UnavailableError
from components.core.settings import Settings
from components.promotion.rows import Row

_LOG = logging.getLogger("detent.promotion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened, by the row that recorded it."""

    row: Row

    @property
    def title(self) -> str:
        """One line: what, where, by whom."""
        row = self.row
        number = f" #{row.proposal}" if row.proposal else ""
        return f"{row.kind.replace('_', ' ')}{number}: {row.key}, by {row.actor}"


Notify = Callable[[Notice], None]


def log_notice(notice: Notice) -> None:
    """Write the notice to the log `detent.promotion`."""
    _LOG.info("%s: %s", notice.title, notice.row.reason)


def apprise_notifier(urls: Sequence[str]) -> Notify:
    """A notifier for apprise's addresses (`mailto://...`, `json://host/path`).

    UnavailableError without apprise, ConfigError for an address that it does not know.
    """
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise UnavailableError("notifications need apprise: pip install 'detent[notify]'") from error
    service = apprise.Apprise()
    for number, url in enumerate(urls, 1):
        if not service.add(url):
            # the address itself may hold a password
            raise ConfigError(f"notification address {number} is not one that apprise knows: see its list of services")

    def send(notice: Notice) -> None:
        if not service.notify(title=notice.title, body=notice.row.reason):
            _LOG.warning("the notice was not delivered: %s", notice.title)

    return send


def notifier_from_environment() -> Notify:
    """Send to the addresses in DETENT_NOTIFY_URLS, separated by spaces; to the log alone when it is not set."""
    urls = Settings().notify_urls.split()
    return apprise_notifier(urls) if urls else log_notice


def tell(notify: Notify, rows: Sequence[Row]) -> None:
    """Send a notice for each row; whatever goes wrong is logged, since the rows stand already."""
    for row in rows:
        try:
            notify(Notice(row=row))
        except Exception as error:  # a notifier is foreign code
            _LOG.warning("a notice failed (%s): %s", error, Notice(row=row).title)
