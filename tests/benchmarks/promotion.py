"""Proof of promotion: kills, races, tampering, full disks and speed, on SQLite and PostgreSQL, with MLflow beside.

    make bench-promotion            all of it, about twenty-five minutes on two cores
    SHORT=1 make bench-promotion    under ten minutes; a goal that needs the full numbers is left open

Prints a table and writes $DETENT_HOME/bench/promotion.json. PostgreSQL comes from DETENT_TEST_POSTGRES; without
one its rows are missing, and the table says so. Every run works in a temporary folder and a schema of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from components.core.errors import StorageError
from components.core.progress import track
from components.promotion.audit import history, verify
from components.promotion.journal import ANCHOR_FILE, Journal
from components.promotion.rows import ROW_COLUMNS, Entry, Row, seal
from tests.benchmarks.figures import SHORT, Figure, keep, show
from tests.components.promotion.cast import open_story
from tests.components.promotion.kills import VERBS, kill_at_random, kill_once, list_steps
from tests.components.promotion.races import ROUND_TIMEOUT_S, race_promotions
from tests.components.promotion.stores import DEFAULT_POSTGRES, POSTGRES, answers, own_schema

SEED = 0
NUM_RACERS = 16
NUM_HISTORY_ROWS = 100_000


def main() -> None:
    """Measure, print and write."""
    figures: list[Figure] = []
    for measure in (kill_matrix, random_kills, promotion_race, first_start_race, storage, throughput, long_history):
        for store, url, home in stores():
            started = time.monotonic()
            figures += [show(figure) for figure in measure(store, url, home)]
            click.echo(f"    {measure.__name__} on {store}: {time.monotonic() - started:.0f} s", err=True)
    with tempfile.TemporaryDirectory() as folder:
        figures += [show(figure) for figure in tampering(Path(folder))]
    with tempfile.TemporaryDirectory() as folder:
        figures += [show(figure) for figure in alias_race(Path(folder))]
    keep("promotion", figures)
    if any(figure.met is False for figure in figures):
        sys.exit("a goal was missed")


def stores() -> Iterator[tuple[str, str, Path]]:
    """Each store with an empty journal's address and home."""
    with tempfile.TemporaryDirectory() as folder:
        yield "sqlite", f"sqlite:///{folder}/journal.db", Path(folder)
    postgres = os.environ.get(POSTGRES, DEFAULT_POSTGRES)
    if not answers(postgres):
        click.echo(f"no PostgreSQL answers: set {POSTGRES}; its figures are missing", err=True)
        return
    with own_schema(postgres) as url, tempfile.TemporaryDirectory() as folder:
        yield "postgresql", url, Path(folder)


def kill_matrix(store: str, url: str, home: Path) -> Iterator[Figure]:
    """kill -9 at every durable step of every verb, then the next command."""
    story = open_story(url, home)
    points = [(verb, step) for verb in VERBS for step in list_steps(story, verb)]
    repeats = 1 if SHORT else 10
    runs = [(verb, step, repeat) for repeat in range(repeats) for verb, step in points]
    problems = []
    for number, (verb, step, _) in enumerate(track(runs, f"kills on {store}")):
        problems += kill_once(story, verb, step, catalog=f"kill {number}")
    story.close()
    report(problems)
    yield Figure(name=f"kill points, {store}", value=len(points), goal=">= 20", met=len(points) >= 20)
    met = None if SHORT and not problems else not problems
    name = f"lost, doubled or half-done in {len(runs)} kills, {store}"
    yield Figure(name=name, value=len(problems), goal="0", met=met, seeds=list(range(repeats)))


def random_kills(store: str, url: str, home: Path) -> Iterator[Figure]:
    """kill -9 at random moments, between the named steps too."""
    chance = random.Random(SEED)
    story = open_story(url, home)
    num_runs = 20 if SHORT else 200
    problems = []
    for number in track(range(num_runs), f"random kills on {store}"):
        verb = chance.choice(VERBS)
        problems += kill_at_random(story, verb, chance.uniform(0, 0.12), catalog=f"random {number}")
    story.close()
    report(problems)
    met = None if SHORT and not problems else not problems
    name = f"lost, doubled or half-done in {num_runs} random kills, {store}"
    yield Figure(name=name, value=len(problems), goal="0", met=met, seeds=[SEED])


def promotion_race(store: str, url: str, home: Path) -> Iterator[Figure]:
    """Processes that promote different candidates at once."""
    num_rounds = 10 if SHORT else 100
    started = time.monotonic()
    outcome = race_promotions(url, home, num_processes=NUM_RACERS, num_rounds=num_rounds)
    elapsed_s = time.monotonic() - started
    report(outcome.strange)
    single = sum(winners == 1 for winners in outcome.winners)
    losers = num_rounds * (NUM_RACERS - 1)
    journal = Journal.open(url, home=home)
    sound = verify(journal).ok
    journal.close()
    full = single == num_rounds and sound
    met = None if SHORT and full else full
    name = f"rounds of {num_rounds} with one winner, {store}"
    yield Figure(name=name, value=single, goal=f"{num_rounds}", met=met, peer="MLflow alias: below")
    told = sum("is void" in text for text in outcome.told)
    met = None if SHORT and told == losers else told == losers
    yield Figure(name=f"losers of {losers} told why, {store}", value=told, goal=f"{losers}", met=met)
    yield Figure(name=f"chain intact after the race, {store}", value=float(sound), goal="1", met=sound)
    yield Figure(name=f"seconds a round of {NUM_RACERS}, {store}", value=elapsed_s / num_rounds)


def first_start_race(store: str, url: str, home: Path) -> Iterator[Figure]:
    """Eight fresh interpreters that open a journal, or an MLflow store, which does not exist yet."""
    code = "import sys; from pathlib import Path; from components.promotion.journal import Journal; "
    code += "Journal.open(sys.argv[1], home=Path(sys.argv[2])).close()"
    died = _count_deaths([sys.executable, "-c", code, url, str(home)])
    yield Figure(name=f"of 8 first starts, died, {store}", value=died, goal="0", met=died == 0)
    if store == "sqlite":
        code = "import sys; from mlflow import MlflowClient; MlflowClient(sys.argv[1]).search_experiments()"
        died = _count_deaths([sys.executable, "-c", code, f"sqlite:///{home}/mlflow.db"])
        yield Figure(name="of 8 first starts, died, bare MLflow on sqlite", value=died)


def storage(store: str, url: str, home: Path) -> Iterator[Figure]:
    """A real full disk: write until it refuses, free space, and look."""
    del url
    folder = home / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if store != "sqlite" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        return  # needs the right to mount; the tests do the same with SQLite's own page limit
    try:
        story = open_story(f"sqlite:///{folder}/journal.db", folder)
        refused = ""
        try:
            for number in range(5000):
                story.propose("a", None, name=f"{'x' * 3000}{number}")
                story.propose(f"{number:08x}", None, name="y" * 3000)
        except StorageError as error:
            refused = str(error)
        story.close()
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        sound = verify(story.journal).ok and story.propose("beef").state == "open" and verify(story.journal).ok
        story.close()
        clear = "nothing was half-written" in refused or "the disk is full" in refused
        yield Figure(
            name="disk full: clear error, nothing lost after",
            value=float(clear and sound),
            goal="1",
            met=clear and sound,
        )
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def throughput(store: str, url: str, home: Path) -> Iterator[Figure]:
    """Single durable writes, each anchored, and many rows in one transaction."""
    journal = Journal.open(url, home=home)
    num_writes = 50 if SHORT else 300
    started = time.monotonic()
    for number in range(num_writes):
        with journal.writing("bench") as transaction:
            transaction.append(_entry(number))
    each = num_writes / (time.monotonic() - started)
    started = time.monotonic()
    with journal.writing("bench") as transaction:
        for number in range(2000):
            transaction.append(_entry(number))
    together = 2000 / (time.monotonic() - started)
    journal.close()
    yield Figure(name=f"journal writes a second, each anchored, {store}", value=each)
    yield Figure(name=f"journal rows a second in one transaction, {store}", value=together)


def long_history(store: str, url: str, home: Path) -> Iterator[Figure]:
    """Questions to a journal of 100,000 rows."""
    journal = Journal.open(url, home=home)
    with journal.writing("bench") as transaction:
        for number in range(NUM_HISTORY_ROWS):
            transaction.append(_entry(number))
    for name, ask in (
        ("the last 50 rows", lambda: history(journal, limit=50)),
        ("the last 50 rows of one workload", lambda: history(journal, workload="products", limit=50)),
        ("all rows", lambda: history(journal)),
    ):
        taken_s = min(_time(ask) for _ in range(3))
        label = f"history over {NUM_HISTORY_ROWS:,}: {name}, {store} [s]"
        yield Figure(name=label, value=taken_s, goal="< 1", met=taken_s < 1)
    yield Figure(name=f"verify {NUM_HISTORY_ROWS:,} rows, {store} [s]", value=_time(lambda: verify(journal)))
    journal.close()


def tampering(folder: Path) -> Iterator[Figure]:
    """Random alterations, deletions, swaps and forged rows, behind the journal's back; each must be found."""
    chance = random.Random(SEED)
    num_tries = 100 if SHORT else 1000
    home = folder / "original"
    story = open_story(f"sqlite:///{home}/journal.db", home)
    champion = None
    for model in "abcd":
        story.release(model, champion)
        champion = model
    story.close()
    for name, tamper in (("altered", _alter), ("deleted", _delete), ("reordered", _swap), ("appended", _forge)):
        found = sum(_is_found(home, folder / "copy", tamper, chance) for _ in range(num_tries))
        label = f"of {num_tries} rows {name}, found"
        yield Figure(name=label, value=found, goal=f"{num_tries}", met=found == num_tries, seeds=[SEED])


def alias_race(folder: Path) -> Iterator[Figure]:
    """The race again with bare MLflow aliases: each looks whether the champion is still the old one, then sets it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    address = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(address, address)
    client.create_registered_model("race")
    for _ in range(NUM_RACERS + 1):
        client.create_model_version("race", str(folder), run_id=None)
    num_rounds = 10 if SHORT else 100
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(NUM_RACERS + 1), context.SimpleQueue()
    started = time.monotonic()
    workers = [
        context.Process(target=_set_aliases, args=(address, index + 2, num_rounds, barrier, results))
        for index in range(NUM_RACERS)
    ]
    for worker in workers:
        worker.start()
    claims = []
    for _ in range(num_rounds):
        client.set_registered_model_alias("race", "champion", "1")
        barrier.wait(ROUND_TIMEOUT_S)
        claims.append(sum(results.get() == "won" for _ in workers))
        barrier.wait(ROUND_TIMEOUT_S)
    for worker in workers:
        worker.join()
    lost = sum(max(0, claim - 1) for claim in claims)
    shared = sum(claim > 1 for claim in claims)
    name = f"MLflow alias: rounds of {num_rounds} with a silent overwrite"
    yield Figure(name=name, value=shared, peer="Detent's journal: 0")
    yield Figure(name="MLflow alias: promotions silently overwritten a round", value=lost / num_rounds)
    yield Figure(name="MLflow alias: seconds a round", value=(time.monotonic() - started) / num_rounds)


def report(problems: list[str]) -> None:
    """Print what went wrong, so that a missed goal can be looked into."""
    for problem in problems:
        click.echo(f"    {problem}", err=True)


def _entry(number: int) -> Entry:
    digests = dict.fromkeys(("model", "evaluation_set", "policy", "decision"), "a" * 64)
    return Entry(
        kind="rejected",
        workload="products" if number % 2 else "palms",
        catalog="main",
        actor="rita",
        reason=f"breaks chairs, look {number}",
        from_model="a" * 64,
        to_model="b" * 64,
        decision="d" * 64,
        details={"digests": digests},
    )


def _count_deaths(command: list[str]) -> int:
    children = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(8)]
    return sum(child.wait() != 0 for child in children)


def _time(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _is_found(home: Path, copy: Path, tamper: Callable[..., None], chance: random.Random) -> bool:
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in (*home.glob("journal.db*"), home / ANCHOR_FILE):
        shutil.copy(file, copy)
    with contextlib.closing(sqlite3.connect(copy / "journal.db", isolation_level=None)) as connection:
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER detent_journal_no_{verb}")
        rows = [Row._make(row) for row in connection.execute(f"SELECT {', '.join(ROW_COLUMNS)} FROM detent_journal")]
        tamper(connection, rows, chance)
    journal = Journal.open(f"sqlite:///{copy}/journal.db", home=copy)
    outcome = verify(journal)
    journal.close()
    return not outcome.ok


def _alter(connection: sqlite3.Connection, rows: list[Row], chance: random.Random) -> None:
    row = chance.choice(rows)
    name = chance.choice([name for name in ROW_COLUMNS if getattr(row, name) is not None and name != "sequence"])
    value = getattr(row, name)
    if isinstance(value, str) and value:
        place = chance.randrange(len(value))
        value = value[:place] + chr(ord(value[place]) ^ (1 << chance.randrange(6))) + value[place + 1 :]
    else:
        value = f"{value}x"
    connection.execute(f"UPDATE detent_journal SET {name} = ? WHERE sequence = ?", (value, row.sequence))


def _delete(connection: sqlite3.Connection, rows: list[Row], chance: random.Random) -> None:
    first = chance.choice(rows).sequence
    last = chance.choice((first, len(rows)))
    connection.execute("DELETE FROM detent_journal WHERE sequence BETWEEN ? AND ?", (first, last))


def _swap(connection: sqlite3.Connection, rows: list[Row], chance: random.Random) -> None:
    first, second = (row.sequence for row in chance.sample(rows, 2))
    for new, old in ((1000, first), (first, second), (second, 1000)):
        connection.execute("UPDATE detent_journal SET sequence = ? WHERE sequence = ?", (new, old))


def _forge(connection: sqlite3.Connection, rows: list[Row], chance: random.Random) -> None:
    last = rows[-1]
    model = chance.choice(rows)
    changed: dict[str, Any] = {"sequence": last.sequence + 1, "previous": last.digest, "generation": None}
    row = model._replace(**changed, actor="mallory")
    row = row._replace(digest=seal(row.columns()))
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO detent_journal ({', '.join(ROW_COLUMNS)}) VALUES ({marks})", row)


def _set_aliases(address: str, version: int, num_rounds: int, barrier: Any, results: Any) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(address, address)
    for _ in range(num_rounds):
        barrier.wait(ROUND_TIMEOUT_S)
        try:
            if str(client.get_model_version_by_alias("race", "champion").version) != "1":
                results.put("told")
            else:
                client.set_registered_model_alias("race", "champion", str(version))
                results.put("won")
        except Exception as error:
            results.put(f"failed: {error}")
        barrier.wait(ROUND_TIMEOUT_S)


if __name__ == "__main__":
    main()
