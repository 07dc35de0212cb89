"""Signatures prove the actor: a row that lost its own, or carries another's, is found."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from components.core.errors import ConfigError, StateError
from components.promotion.audit import verify
from components.promotion.signatures import create_key, is_signed, load_signer, signer_from_environment
from tests.components.promotion.cast import Story


def alter(story: Story, statement: str) -> None:
    with story.journal.engine.execution_options(detent_writes=True).begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS detent_journal_no_update")
        connection.exec_driver_sql(statement)


def test_a_key_signs_and_only_its_public_key_accepts(tmp_path: Path) -> None:
    signer = create_key(tmp_path / "eve.pem", "eve")
    other = create_key(tmp_path / "rita.pem", "rita")
    signature = load_signer(tmp_path / "eve.pem", "eve").sign("abc")
    assert is_signed("abc", signature, signer.public_key)
    assert not is_signed("abd", signature, signer.public_key)
    assert not is_signed("abc", signature, other.public_key)
    assert not is_signed("abc", "not hex", signer.public_key)
    assert stat.S_IMODE((tmp_path / "eve.pem").stat().st_mode) == 0o600


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    create_key(tmp_path / "eve.pem", "eve")
    with pytest.raises(StateError, match="never replaced"):
        create_key(tmp_path / "eve.pem", "eve")


def test_a_missing_or_foreign_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signer_from_environment("eve") is None
    monkeypatch.setenv("DETENT_SIGNING_KEY", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=r"none\.pem"):
        signer_from_environment("eve")
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.pem"):
        load_signer(tmp_path / "text.pem", "eve")


def test_signed_rows_verify_and_an_unknown_key_is_noted(sqlite_story: Story, tmp_path: Path) -> None:
    signer = create_key(tmp_path / "eve.pem", "eve")
    sqlite_story.journal.signer = signer
    sqlite_story.propose("a", auto=True)
    outcome = verify(sqlite_story.journal, public_keys={"eve": signer.public_key})
    assert (outcome.ok, outcome.notes) == (True, ("2 of 2 rows are signed",))
    assert "no public key is registered for eve" in verify(sqlite_story.journal).notes[1]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE detent_journal SET signature = NULL WHERE sequence = 1", "has lost the signature of eve"),
        ("UPDATE detent_journal SET signature = 'abcd' WHERE sequence = 1", "a signature that is not eve's"),
    ],
)
def test_a_lost_or_false_signature_is_found(sqlite_story: Story, tmp_path: Path, statement: str, message: str) -> None:
    signer = create_key(tmp_path / "eve.pem", "eve")
    sqlite_story.journal.signer = signer
    sqlite_story.propose("a")
    alter(sqlite_story, statement)
    fault = verify(sqlite_story.journal, public_keys={"eve": signer.public_key}).fault
    assert fault and fault.sequence == 1
    assert message in fault.message


def test_a_signature_on_an_unsigned_row_is_found(sqlite_story: Story) -> None:
    sqlite_story.propose("a")
    alter(sqlite_story, "UPDATE detent_journal SET signature = 'ab' WHERE sequence = 1")
    fault = verify(sqlite_story.journal).fault
    assert fault and "names no signer" in fault.message


def test_who_signed_once_always_signs(sqlite_story: Story, tmp_path: Path) -> None:
    sqlite_story.journal.signer = create_key(tmp_path / "eve.pem", "eve")
    sqlite_story.propose("a")
    sqlite_story.journal.signer = None
    sqlite_story.propose("b")
    fault = verify(sqlite_story.journal).fault
    assert fault and (fault.sequence, fault.message) == (2, "is not signed, although eve signed before")


def test_nobody_signs_for_another(sqlite_story: Story, tmp_path: Path) -> None:
    sqlite_story.journal.signer = create_key(tmp_path / "rob.pem", "rob")
    sqlite_story.propose("a")
    fault = verify(sqlite_story.journal).fault
    assert fault and fault.message == "is signed by rob for eve"
