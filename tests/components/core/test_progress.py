"""A bar changes nothing of what is iterated, and is not drawn for anything that is over at once."""

import io
import sys

import pytest

from components.core.progress import track


class Terminal(io.StringIO):
    """Standard error as a person sees it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_every_item_comes_in_order_and_quick_work_shows_no_bar(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert list(track(iter("ab"), "spelling", total=2)) == ["a", "b"]
    assert "counting" not in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_work_that_takes_longer_shows_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr("components.core.progress._QUIET_S", -1.0)
    assert list(track(range(2), "counting")) == [0, 1]
    assert "counting" in sys.stderr.getvalue()  # type: ignore[attr-defined]
