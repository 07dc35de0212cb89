from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from components.core.errors import IntegrityError, StateError
from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.ledger import Ledger, Question

IDS = [f"s{index}" for index in range(50)]
PLAN = SpendingPolicy(rule="tree", first=0.2, planned_looks=3)


def question(name: str, mode: str = "sealed") -> Question:
    return Question(key=f"key of {name}", candidate=name, champion="old", mode=mode)  # type: ignore[arg-type]


def never(level: float) -> bool:
    raise AssertionError("a recorded answer must not be computed again")


def test_looks_are_charged_in_order_and_the_plan_ends(ledger: Ledger) -> None:
    levels = [ledger.ask(question(name), IDS, PLAN, lambda level: False).look.level for name in "abc"]
    assert levels == pytest.approx([0.05 * 0.2, 0.05 * 0.4 / 2, 0.05 * 0.4 / 2])
    assert "used up, all 3 planned looks" in str(ledger.ask(question("d"), IDS, PLAN, never))
    assert len(ledger.looks()) == 3


def test_the_same_question_gets_its_recorded_answer_for_nothing(ledger: Ledger) -> None:
    first = ledger.ask(question("a"), IDS, PLAN, lambda level: True)
    again = ledger.ask(question("a"), IDS, PLAN, never)
    assert (first.recorded, again.recorded, again.look) == (False, True, first.look)
    assert len(ledger.looks()) == 1


def test_a_promotion_divides_the_level_of_later_looks(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: True)
    assert ledger.ask(question("b"), IDS, PLAN, lambda level: False).look.level == pytest.approx(0.05 * 0.4 / 4)
    assert ledger.ask(question("c"), IDS, PLAN, lambda level: False).look.level == pytest.approx(0.05 * 0.4 / 4 / 2)


def test_more_samples_go_on_with_the_budget_and_are_a_new_question(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    again = ledger.ask(question("a"), [*IDS, "s50"], PLAN, lambda level: True)
    assert (again.recorded, again.look.number) == (False, 2)


def test_one_shared_sample_is_enough_to_go_on(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    assert ledger.ask(question("b"), ["s7", "t1", "t2"], PLAN, lambda level: False).look.number == 2
    assert "dropped" in ledger.store.path.read_text()


def test_a_disjoint_split_starts_afresh_and_an_old_sample_in_it_is_refused(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    assert ledger.ask(question("a"), ["t1", "t2"], PLAN, lambda level: False).look.number == 1
    with pytest.raises(StateError, match="1 samples with split 1 and 1 samples with split 2"):
        ledger.ask(question("b"), ["t1", "s3"], PLAN, never)


def test_an_earlier_split_goes_on_with_its_own_account(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    ledger.ask(question("a"), ["t1", "t2"], PLAN, lambda level: False)
    back = ledger.ask(question("b"), IDS, PLAN, lambda level: False)
    assert (back.look.number, len(ledger.looks())) == (2, 2)
    assert ledger.ask(question("a"), IDS, PLAN, never).recorded


def test_an_open_look_takes_everything_and_burns_the_split(ledger: Ledger) -> None:
    assert ledger.ask(question("a", "open"), IDS, PLAN, lambda level: True).look.level == 0.05
    assert "burned" in str(ledger.ask(question("b"), IDS, PLAN, never))
    assert ledger.standing(IDS, PLAN).next_level == 0.0


def test_an_open_look_after_sealed_ones_has_its_own_level_only(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    expected = ledger.standing(IDS, PLAN).next_level
    assert ledger.ask(question("b", "open"), IDS, PLAN, lambda level: False).look.level == expected < PLAN.alpha


def test_the_plan_is_fixed_by_the_first_look(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    with pytest.raises(StateError, match="spending plan"):
        ledger.ask(question("b"), IDS, SpendingPolicy(rule="tree", first=0.2, planned_looks=3, alpha=0.2), never)


def test_a_deleted_ledger_is_no_fresh_budget(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    ledger.store.path.unlink()
    with pytest.raises(IntegrityError, match="not a fresh budget"):
        ledger.ask(question("b"), IDS, PLAN, never)


def test_a_clone_without_the_ledger_is_no_fresh_budget(ledger: Ledger, tmp_path: Path) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    with pytest.raises(IntegrityError, match="restore the ledger"):
        Ledger(tmp_path / "elsewhere" / "certify.jsonl", ledger.anchor).looks()


def test_a_deleted_anchor_is_noticed(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    ledger.anchor.unlink()
    with pytest.raises(IntegrityError, match="restore the anchor"):
        ledger.check()


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("fault", ["edit", "drop", "swap"])
def test_every_edit_is_noticed(ledger: Ledger, line: int, fault: str) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    lines = ledger.store.path.read_text().splitlines()
    if fault == "edit":
        row = json.loads(lines[line])
        row["at"] = "2020-01-01T00:00:00+00:00"
        lines[line] = json.dumps(row, sort_keys=True)
    elif fault == "drop":
        del lines[line]
    else:
        lines[line], lines[line - 1] = lines[line - 1], lines[line]
    ledger.store.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(IntegrityError):
        ledger.check()


def test_a_well_formed_forgery_does_not_match_the_anchor(ledger: Ledger, tmp_path: Path) -> None:
    forged = Ledger(tmp_path / "forged.jsonl", tmp_path / "forged.json")
    forged.ask(question("a"), IDS, PLAN, lambda level: True)
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    ledger.store.path.write_bytes(forged.store.path.read_bytes())
    with pytest.raises(IntegrityError, match="does not match its anchor"):
        ledger.looks()


@pytest.mark.parametrize(
    "rubbish", ["{}", "not json", '{"rows": "1", "head": 3}', '{"ledgers": 3}', '{"ledgers": {"file": []}}']
)
def test_a_rubbish_anchor_is_refused(ledger: Ledger, rubbish: str) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    ledger.anchor.write_text(rubbish)
    with pytest.raises(ValueError, match=r"anchor|JSON"):
        ledger.check()


KILLED = """
import os, signal, sys
from pathlib import Path
from components.selection.ledger import ledger, lines
from components.selection.gate.policy import SpendingPolicy
where, step = Path(sys.argv[1]), sys.argv[2]
book = ledger.Ledger(where / "home" / "certify.jsonl", where / "data" / "certify.ledger.json")
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
def test(level):
    if step == "test":
        die()
    if step == "answer":
        lines.append = die
    if step == "anchor":
        ledger.write_anchor = die
    return True
question = ledger.Question(key="k", candidate="a", champion="old", mode="sealed")
print(book.ask(question, ["s1", "s2"], SpendingPolicy(rule="tree", first=0.2, planned_looks=3), test))
"""


@pytest.mark.parametrize("step", ["test", "answer", "anchor"])
def test_a_kill_between_charge_and_answer_costs_the_look_and_tells_nothing(
    ledger: Ledger, tmp_path: Path, step: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), step], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    other = ledger.ask(Question(key="other", candidate="b", champion="old", mode="sealed"), ["s1", "s2"], PLAN, bool)
    assert other.look.number == 2
    same = ledger.ask(Question(key="k", candidate="a", champion="old", mode="sealed"), ["s1", "s2"], PLAN, bool)
    assert (same.look.number, same.recorded, same.look.level) == (1, step == "anchor", pytest.approx(0.01))


def test_half_a_line_is_cut_off(ledger: Ledger) -> None:
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    with ledger.store.path.open("a") as file:
        file.write('{"kind": "look", "numb')
    assert ledger.ask(question("b"), IDS, PLAN, lambda level: False).look.number == 2
    ledger.check()


def test_two_at_once_never_share_a_look(ledger: Ledger) -> None:
    plan = SpendingPolicy(planned_looks=40)
    threads = [
        threading.Thread(target=lambda name=name: ledger.ask(question(name), IDS, plan, lambda level: False))
        for name in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(look.number for look in ledger.looks()) == list(range(1, 9))
    assert len({look.candidate for look in ledger.looks()}) == 8
