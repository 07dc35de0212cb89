"""Progress bars for anything that takes over two seconds; silent when standard error is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
_QUIET_S = 2.0
_listeners: dict[str, Callable[[], None]] = {}


def listen(description: str, step: Callable[[], None]) -> None:
    """Call `step` after each item of every bar of this description, in place of drawing it."""
    _listeners[description] = step


def track(items: Iterable[T], description: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `items`, showing a bar on standard error once two seconds have passed."""
    if description in _listeners:
        for item in items:
            yield item
            _listeners[description]()
        return
    if not sys.stderr.isatty():
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    yield from _with_bar(items, description, total)


def _with_bar(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import Progress

    started = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, visible=False)
        for item in items:
            yield item
            bar.update(task, advance=1, visible=time.monotonic() - started > _QUIET_S)
