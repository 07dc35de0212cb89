"""Many processes at once: one winner a round, every loser told why, and no first start dies."""

from __future__ import annotations

from pathlib import Path

from components.promotion.audit import verify
from components.promotion.journal import Journal
from tests.components.promotion.cast import bento_tag
from tests.components.promotion.races import KEY, race_first_start, race_promotions, race_reconciles


def test_one_of_many_promotions_wins(url: str, tmp_path: Path) -> None:
    outcome = race_promotions(url, tmp_path / "home", num_processes=6, num_rounds=3)
    assert (outcome.winners, outcome.strange) == ([1, 1, 1], [])
    assert len(outcome.told) == 15
    assert all("champion was" in text and "is void" in text for text in outcome.told)
    journal = Journal.open(url, home=tmp_path / "home")
    assert verify(journal).ok
    journal.close()


def test_eight_first_starts_at_once_all_live(url: str, tmp_path: Path) -> None:
    assert race_first_start(url, tmp_path / "home", num_processes=8) == [0] * 8
    journal = Journal.open(url, home=tmp_path / "home")
    assert verify(journal).num_rows == 8
    journal.close()


def test_reconciles_never_put_a_pointer_back(url: str, tmp_path: Path) -> None:
    seen, last = race_reconciles(url, tmp_path / "home", num_promotions=6)
    assert seen == sorted(seen)
    shown = bento_tag(tmp_path / "home").read(KEY)
    assert shown is not None and shown.sequence == last
