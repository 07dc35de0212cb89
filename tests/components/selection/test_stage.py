"""A release at the gate with a judge that counts: nobody is asked twice, and what samples say is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core import samples, verdicts
from components.core.decisions import Decision
from components.core.errors import DataError
from components.core.files import read_json
from components.core.manifest import write_shard
from components.core.samples import SampleSet, question_id
from components.core.workloads import Shown
from components.selection import stage
from components.selection.gate import evidence, gate
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Ledger
from components.selection.ledger.members import SplitMembers
from components.selection.search.targets import Target
from components.selection.stage import Contest, Model, Verdicts, complete, decide_pair, decide_release

POLICY = Policy(limit=0.2, slices={"limit": 0.6, "min_n": 30}, improvement={"rule": "none"}, anchor_limit=0.5)


def model(name: str) -> Model:
    return Model(folder=Path(name), digest=name[0] * 64)


def questions(folder: Path, split: str, num: int) -> SampleSet:
    """Pairs of pictures, each pair in one of two places."""
    ids = [f"{split}{number:03d}" for number in range(2 * num)]
    rows = [{"sample_id": name, "image": {"bytes": name.encode(), "path": None}} for name in ids]
    write_shard(folder / split / "shard-00000.parquet", rows)
    asked = [
        {"sample_id": question_id([a, b]), "images": [a, b], "ask": "", "truth": "same", "s_place": f"p{number % 2}"}
        for number, (a, b) in enumerate(zip(ids[::2], ids[1::2], strict=True))
    ]
    path = folder / f"{split}.parquet"
    samples.write(path, asked)
    return SampleSet(images=folder / split, path=path)


@dataclass
class Counting:
    """A judge for whom every tenth question goes wrong, of `worse` every third; in an order of its own."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, artefact: Path, asked: SampleSet) -> pa.Table:
        self.asked[artefact.name, asked.images.name] += 1
        ids = asked.table(["sample_id"])["sample_id"].to_pylist()[::-1]
        every = 3 if artefact.name == "worse" else 10
        right = [int(index % every != 0) for index in range(len(ids))]
        said = ["same" if one else "different" for one in right]
        return pa.table({"sample_id": ids, "verdict": right, "score": [0.5] * len(ids), "prediction": said})


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    return Contest(
        search=questions(tmp_path, "search", 120),
        certify=questions(tmp_path, "certify", 240),
        replay=questions(tmp_path, "replay", 6),
        champion=model("champion"),
        candidates={"better": model("better"), "worse": model("worse"), "even": model("even")},
        anchor=model("anchor"),
        reseed=model("reseed"),
        own={"phone": model("own")},
        targets=(Target(name="phone", flip_limit=1.0),),
        record={"targets": {"phone": {"candidate": "better"}}, "costs": {}},
        digests={"dataset": "d" * 64, "code": "c" * 64},
    )


@pytest.fixture
def open_ledger(ledger: Ledger) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[Ledger]:
        yield ledger

    return opened


def test_each_model_is_asked_once_a_split_and_each_case_made_once(
    contest: Contest, open_ledger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, opened, read = Counting(), Counter[str](), Counter[str]()
    real, table = evidence.open_case, SampleSet.table

    def counting(given: Any, *arguments: Any, **more: Any) -> Any:
        opened[f"{given.candidate} against {given.champion_digest[0]}"] += 1
        return real(given, *arguments, **more)

    def reading(self: SampleSet, *arguments: Any) -> pa.Table:
        read[self.images.name] += 1
        return table(self, *arguments)

    monkeypatch.setattr(gate, "open_case", counting)
    report = decide_release(contest, POLICY, judge=judge, open_ledger=open_ledger, out=tmp_path / "out")
    everywhere = ("champion", "better", "worse", "even", "own")
    asked = {(name, split) for name in everywhere for split in ("search", "certify", "replay")}
    asked |= {("anchor", "search"), ("anchor", "certify"), ("reseed", "search")}
    assert judge.asked == dict.fromkeys(asked, 1)
    against = ["better against c", "worse against c", "even against c", "better against o"]
    assert opened == dict.fromkeys(against, 1)
    assert report.facts["winner"] == "better" and report.facts["better for phone"].startswith("PROMOTE")
    assert {path.name for path in (tmp_path / "out" / "verdicts").iterdir()} == {
        f"search-{name}.parquet" for name in ("champion", "better", "worse", "even", "reseed")
    }, "nothing of certify is written"
    monkeypatch.setattr(SampleSet, "table", reading)
    made = Verdicts(judge)
    for _ in range(3):
        made.of(model("better"), contest.search)
        made.of(model("worse"), contest.search)
    assert read["search"] == 1 + 2, "once for the truth of all, and once by each judge"


def test_questions_of_several_pictures_are_known_to_the_ledger_by_these(
    contest: Contest, open_ledger: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Other pairs of the same pictures are the same split; one that shows a picture of train is left out."""
    seen = contest.certify.table()["images"].to_pylist()[0][1]
    exposed = SplitMembers.of([seen])

    def release(given: Contest, out: str) -> Decision:
        decide_release(given, POLICY, judge=Counting(), open_ledger=open_ledger, out=tmp_path / out)
        return Decision.from_json((tmp_path / out / "better.decision.json").read_text())

    first = release(replace(contest, exposed=exposed, own={}), "first")
    assert first.num_exposed == 1 and first.budget is not None and first.budget.num_certify == 239
    rows = contest.certify.table().to_pylist()
    turned = [
        row | {"images": row["images"][::-1], "sample_id": question_id(row["images"][::-1]), "ask": ""} for row in rows
    ]
    other = tmp_path / "turned.parquet"
    samples.write(other, turned)
    again = release(
        replace(contest, certify=SampleSet(images=contest.certify.images, path=other), own={}, exposed=exposed), "again"
    )
    assert again.budget is not None and len(again.budget.looks) == len(first.budget.looks) + 1, "no fresh budget"


def test_truth_groups_and_slices_come_from_the_samples(contest: Contest) -> None:
    asked = contest.search.table()
    asked = asked.set_column(asked.column_names.index("group"), "group", pa.array(["g"] * 120))
    asked = asked.append_column("group_left", pa.array(["l"] * 120)).append_column("f_size", pa.array([1.0] * 120))
    said = Counting()(Path("better"), contest.search).append_column("s_place", pa.array(["made up"] * 120))
    table = complete(said, asked, name="x")
    assert table.column_names == [*verdicts.SCHEMA.names, "label", "group", "group_left", "s_place"]
    assert set(table["label"].to_pylist()) == {"same"} and set(table["s_place"].to_pylist()) == {"p0", "p1"}
    by_id = {row["sample_id"]: row["verdict"] for row in said.to_pylist()}
    assert {row["sample_id"]: row["verdict"] for row in table.to_pylist()} == by_id


@pytest.mark.parametrize("spoil", [lambda t: t.slice(1), lambda t: pa.concat_tables([t.slice(1), t.slice(1, 1)])])
def test_a_question_without_a_verdict_is_refused(contest: Contest, spoil: Callable[[pa.Table], pa.Table]) -> None:
    said = spoil(Counting()(Path("better"), contest.search))
    with pytest.raises(DataError, match=r"of x: .* verdicts on 120 questions, 1 of which have none"):
        complete(said, contest.search.table(), name="of x")


def test_a_page_shows_questions_as_the_workload_does(contest: Contest, open_ledger: Any, tmp_path: Path) -> None:
    def show(row: Mapping[str, Any], images: Any) -> Shown:
        assert [image.decode() for image in images] == row["images"]
        return Shown(pictures=(), title=f"{row['truth']}, surely", words={"place": row["s_place"]})

    decide_release(replace(contest, show=show), POLICY, judge=Counting(), open_ledger=open_ledger, out=tmp_path / "out")
    page = (tmp_path / "out" / "worse.html").read_text()
    assert "same, surely" in page and "place: p1" in page


def test_a_candidate_that_is_champion_costs_nothing_and_without_certify_all_hold(
    contest: Contest, open_ledger: Any, ledger: Ledger, tmp_path: Path
) -> None:
    same = replace(contest, candidates={"again": model("champion")}, own={}, record={"targets": {}, "costs": {}})
    decide_release(same, POLICY, judge=Counting(), open_ledger=open_ledger, out=tmp_path / "same")
    assert not ledger.looks() and read_json(tmp_path / "same" / "winner.json") == {"candidate": None, "decision": None}
    empty = replace(contest, certify=questions(tmp_path, "empty", 0))
    judge = Counting()
    report = decide_release(empty, POLICY, judge=judge, open_ledger=open_ledger, out=tmp_path / "empty out")
    assert not judge.asked and "no labelled photos" in report.facts["reason"]
    assert read_json(tmp_path / "empty out" / "worse.decision.json")["outcome"] == "HOLD"
    with pytest.raises(DataError, match="no labelled photos to compare on"):
        decide_pair(empty, POLICY, judge=judge, open_ledger=open_ledger, out=tmp_path / "pair")
    assert stage.CHAMPION == "champion"
