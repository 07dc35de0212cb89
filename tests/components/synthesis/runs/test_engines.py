"""One story for every engine: the same bytes, a failed shard tried again, the hopeless one named, a kill survived."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from components.core.errors import ConfigError, DataError, StateError, UnavailableError
from components.synthesis.runs.engines import open_engine, run_shards
from components.synthesis.runs.rows import row_rng
from components.synthesis.runs.shards import fill_shards
from components.synthesis.runs.work import Row, WorkerLostError

clusters = ["dask", "ray"]
# of the clusters' own code
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)


@dataclass(frozen=True)
class Drawing:
    """Draws numbers; each shard in `faults` goes wrong as many times as it says, counted by files in `marks`."""

    marks: Path
    faults: dict[int, tuple[str, int]]

    def rows(self, shard: int) -> list[Row]:
        kind, times = self.faults.get(shard, ("", 0))
        before = len(list(self.marks.glob(f"{shard}-*")))
        (self.marks / f"{shard}-{before}").touch()
        if before < times:
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError("a hiccup")
        return [{"sample_id": f"{int(row_rng(5, shard, i).integers(2**62)):032x}"} for i in range(3)]


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_WORKERS", "2")


def fill(out: Path, job: Drawing) -> dict[str, bytes]:
    fill_shards(out, job, recipe={"seed": 5}, num_shards=6, title="drawing")
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    (tmp_path / "plain").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETENT_WORKERS", "1")
        return fill(tmp_path / "expected", Drawing(marks=tmp_path / "plain", faults={}))


@pytest.mark.parametrize("engine", ["local", *clusters])
def test_every_engine_gives_the_bytes_of_one_process_in_spite_of_a_failure_and_a_kill(
    engine: str, tmp_path: Path, marks: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETENT_ENGINE", engine)
    job = Drawing(marks=marks, faults={1: ("hiccup", 2), 4: ("kill", 1)})
    assert fill(tmp_path / "out", job) == expected
    assert len(list(marks.glob("1-*"))) == 3
    assert len(list(marks.glob("4-*"))) >= 2


class Scripted:
    """An engine that fails as the script says: for each shard, what its tries raise, one after the other.

    A lost worker takes all that are in flight with it, as a broken pool of processes does.
    """

    def __init__(self, script: dict[int, list[Exception]], width: int = 3) -> None:
        self.width, self.script, self.tries = width, script, Counter[int]()
        self.flying: list[int] = []
        self.most = 0

    def submit(self, shard: int) -> int:
        self.tries[shard] += 1
        self.flying.append(shard)
        self.most = max(self.most, len(self.flying))
        return shard

    def wait(self, handles: Collection[int]) -> Collection[int]:
        assert sorted(handles) == sorted(self.flying)
        self.lost = any(isinstance(e, WorkerLostError) for shard in self.flying for e in self.script.get(shard, [])[:1])
        return list(self.flying) if self.lost else [self.flying[0]]

    def result(self, handle: int) -> pa.Table:
        self.flying.remove(handle)
        fault = next(iter(self.script.get(handle, [])), None)
        if fault is not None:
            self.script[handle].pop(0)
            raise fault
        if self.lost:
            raise WorkerLostError
        return pa.table({"shard": [handle]})


def test_failed_shards_are_tried_again_and_the_engine_is_kept_busy() -> None:
    engine = Scripted({1: [OSError("a hiccup")] * 2, 4: [WorkerLostError()]})
    assert sorted(shard for shard, _ in run_shards(engine, range(8))) == list(range(8))
    assert (engine.most, engine.tries[1], engine.tries[4]) == (3, 3, 2)


def test_a_hopeless_shard_is_named_and_those_done_before_are_kept() -> None:
    done = []
    with pytest.raises(StateError, match=r"shard 2 failed 3 times, at last with OSError: a hiccup.*run again"):
        for shard, _ in run_shards(Scripted({2: [OSError("a hiccup")] * 3}), range(6)):
            done.append(shard)
    assert set(done) >= {0, 1}


def test_only_the_culprit_is_blamed_for_a_lost_worker() -> None:
    """Three are in flight each time; the other two are taken along and yet may fail no more than their own times."""
    script = {0: [WorkerLostError()] * 3, 1: [OSError()] * 2, 2: [OSError()] * 2}
    assert sorted(shard for shard, _ in run_shards(Scripted(dict(script)), range(5))) == list(range(5))
    with pytest.raises(StateError, match="shard 0 failed 3 times"):
        list(run_shards(Scripted({0: [WorkerLostError()] * 4}), range(5)))


def test_what_trying_again_cannot_mend_is_not_tried_again() -> None:
    engine = Scripted({3: [DataError("the mesh of chair.glb has no faces")] * 2})
    with pytest.raises(DataError, match=r"shard 3: the mesh of chair\.glb has no faces"):
        list(run_shards(engine, range(5)))
    assert engine.tries[3] == 1


@pytest.mark.parametrize("setting", ["spark", "local:2", "", "Ray"])
def test_an_unknown_engine_names_the_known_ones(setting: str, marks: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: local, dask"):
        open_engine(setting, Drawing(marks=marks, faults={}), workers=1).__enter__()


def test_a_cluster_that_does_not_answer_is_named(marks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.synthesis.runs.clusters._TIMEOUT_S", 1)
    with (
        pytest.raises(UnavailableError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"),
        open_engine("dask:tcp://127.0.0.1:1", Drawing(marks=marks, faults={}), workers=1),
    ):
        pass


@pytest.mark.parametrize(("name", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_an_engine_that_is_not_installed_says_how_to_get_it(
    name: str, module: str, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with (
        pytest.raises(UnavailableError, match=rf"pip install 'detent\[{name}\]'"),
        open_engine(name, Drawing(marks=marks, faults={}), workers=1),
    ):
        pass


@dataclass(frozen=True)
class Endless:
    """Says which process works, then works for ever."""

    marks: Path

    def rows(self, shard: int) -> list[Row]:
        (self.marks / str(os.getpid())).touch()
        time.sleep(600)
        return []


def run_endlessly(folder: Path, marks: Path) -> None:
    fill_shards(folder, Endless(marks=marks), recipe={"seed": 5}, num_shards=4, title="drawing")


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path, marks: Path) -> None:
    parent = get_context("spawn").Process(target=run_endlessly, args=(tmp_path / "out", marks))
    parent.start()
    wait_until(lambda: len(list(marks.iterdir())) == 2)
    parent.kill()
    parent.join()
    workers = [int(mark.name) for mark in marks.iterdir()]
    wait_until(lambda: not any(is_at_work(worker) for worker in workers))


def is_at_work(worker: int) -> bool:
    try:
        return psutil.Process(worker).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], *, patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)
