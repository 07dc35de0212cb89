"""One story, told to every workload through the real commands on drawn data; its tests run in order.

It is made, released, approved, served and asked; released again, compared, rolled back; killed and gone on with. The
foreign one is what a user would write: a package of its own with an entry point, and no line of it in this repository's
packages.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from PIL import Image

from components.core import verdicts
from components.core.digests import digest_file
from components.core.settings import Settings
from components.core.stages import read_report
from components.core.workloads import Workload
from components.core.workspace import Workspace
from components.serving.server import free_port, wait_until_ready
from components.workloads.rails.records import read_decisions
from components.workloads.registry import BUILT_IN, find_workload
from flows.commands.compare import compare_models
from flows.commands.decide import approve_proposal, roll_back, show_history
from flows.commands.init import init_workspace
from flows.commands.review import add_to_replay, mark_label, show_replay
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.layout import filled_params
from tests.contracts.actors import ACTORS, Actor
from tests.contracts.foreign_packages import FOREIGN, installed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
MAX_LINES_OF_FOREIGN_WORKLOAD = 200


@dataclass(frozen=True)
class Stage:
    """Where the story is played: a workload, its workspace and its sources."""

    actor: Actor
    workload: Workload
    workspace: Workspace
    sources: dict[str, str]

    def train(self, **recipes: int) -> None:
        """Write params.yaml with the actor's recipes of these numbers as the candidates of these names."""
        sections = {
            "catalog": "drawn",
            **self.actor.settings,
            "training": self.actor.train({name: self.actor.recipes[number] for name, number in recipes.items()}),
            "packaging": {"parity_samples": 8},
            "people": {"default_roles": ["engineer", "release manager"]},
        }
        self.workspace.params.write_text(filled_params(self.workload, sections))

    def digests(self) -> dict[str, str]:
        """The candidates that lie in the workspace, by name."""
        children = read_report(self.workspace.stage("training")).children
        return {name: child["digest"] for name, child in children.items()}


@pytest.fixture(scope="module", params=[*BUILT_IN, "pairs"])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A workspace of its own for each workload, shared by the story's tests."""
    name = request.param
    actor, folder = ACTORS[name], tmp_path_factory.mktemp(name)
    kept = dict(os.environ)
    os.environ.update(DETENT_HOME=str(folder / "home"), DETENT_WORKSPACE=str(folder / "workspace"))
    with ExitStack() as stack:
        if actor.package is not None:
            stack.enter_context(installed(actor.package, site=folder / "site"))
        yield Stage(
            actor=actor,
            workload=find_workload(name),
            workspace=Workspace.from_settings(Settings()),
            sources=dict(actor.draw(folder / "sources")),
        )
    os.environ.clear()
    os.environ.update(kept)


def test_a_workspace_is_made(release: Stage) -> None:
    init_workspace(str(release.workspace.root), workload=release.workload.name, git=False)
    assert yaml.safe_load(release.workspace.params.read_text())["workload"] == release.workload.name
    assert {path.name for path in release.workspace.root.iterdir()}.isdisjoint({"components", "flows"})
    release.train(plain=0)
    assert (
        run_release("release", sources=release.sources, dry_run=True).value["would_run"].keys()
        == release.workload.stages.keys()
    )


def test_a_first_release_is_proposed_and_a_person_approves(release: Stage) -> None:
    answer = run_release("release", sources=release.sources)
    assert answer.exit_code == 0 and answer.value["ran"] == [*release.workload.stages]
    assert answer.value["winner"] == "plain" and not answer.value["promoted"], "nobody has approved yet"
    (proposal,) = read_status().value["proposals"]
    approve_proposal(proposal["number"], reason="it is the first")
    status = read_status().value
    assert status["champion"] == release.digests()["plain"] and status["version"] == "1"
    assert status["would_run"] == []


def test_the_champion_answers_over_http_what_it_answered_in_the_evaluation(release: Stage) -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "flows", "serve", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(process, port=port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            answers_as_judged(client, release)
            refuses_what_is_no_question(client, release)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def answers_as_judged(client: httpx.Client, release: Stage) -> None:
    search = release.workspace.samples("search")
    judged = verdicts.read(release.workspace.stage("selection") / "verdicts" / "search-plain.parquet")
    expected = dict(zip(judged["sample_id"].to_pylist(), judged["prediction"].to_pylist(), strict=True))
    asked = zip(search.table(["sample_id"])["sample_id"].to_pylist(), search.encoded(), strict=True)
    for sample, images in list(asked)[:8]:
        response = client.post(path_of(release), files=dict(zip(release.actor.fields, images, strict=True)))
        assert response.status_code == 200, response.text
        assert release.actor.hear(response.json()) == expected[sample]
        assert response.json()["model"]["digest"] == release.digests()["plain"]


def refuses_what_is_no_question(client: httpx.Client, release: Stage) -> None:
    path, (first, *others) = path_of(release), release.actor.fields
    image = release.workspace.samples("search").encoded()[0][0]
    for status, request in (
        (415, {"content": b"?"}),
        (400, {"files": {"nothing": image}}),
        (400, {"files": {first: b"no image"} | dict.fromkeys(others, image)}),
        (400, {"files": {first: b""} | dict.fromkeys(others, image)}),
        (400, {"json": {}}),
    ):
        response = client.post(path, **request)
        assert response.status_code == status and response.json()["error"], response.text
    assert client.get(path).status_code == 405 and client.post("/elsewhere").status_code == 404


def path_of(release: Stage) -> str:
    method, path = release.workload.service.endpoint.split()
    assert method == "POST"
    return path


def test_a_question_is_shown_to_people_with_its_pictures(release: Stage) -> None:
    samples = release.workspace.samples("search")
    row, images = samples.table().to_pylist()[0], samples.encoded()[0]
    shown = release.workload.show(row, images)
    assert len(shown.pictures) == len(release.actor.fields) == len(row["images"]) and shown.title
    assert all(Image.open(io.BytesIO(picture)).size for picture in shown.pictures)


def test_a_second_release_is_held_against_the_first(release: Stage) -> None:
    release.train(plain=1)
    answer = run_release("release")
    assert "training" in answer.value["ran"] and "validation" not in answer.value["ran"]
    (decision,) = read_decisions(release.workspace).values()
    assert decision.outcome == "PROMOTE", decision.reasons
    assert decision.digests["champion"] == read_status().value["champion"] != decision.digests["candidate"]
    status = read_status().value
    assert status["looks"] == 2
    approve_proposal(status["proposals"][-1]["number"], reason="it breaks nothing")
    assert read_status().value["version"] == "2"


def test_two_versions_are_compared_again(release: Stage) -> None:
    """The same question has its answer on record; the other way round it is a question of its own."""
    answer = compare_models("1", "2")
    assert answer.value["outcome"] == "PROMOTE" and read_status().value["looks"] == 2
    compare_models("2", "1")
    assert read_status().value["looks"] in (2, 3), "not a look where search refuses already"


def test_a_champion_is_rolled_back_once_its_bento_answers_as_recorded(release: Stage) -> None:
    before = read_status().value
    roll_back(reason="a customer complained")
    after = read_status().value
    assert (before["version"], after["version"]) == ("2", "1") and after["bento"] not in (None, before["bento"])
    assert after["champion"] == promoted()[0]["to_model"]


def promoted() -> list[dict]:
    return sorted(show_history(kind="promoted").value["rows"], key=lambda row: row["sequence"])


def test_what_people_say_of_samples_counts_from_the_next_gate_on(release: Stage) -> None:
    table = verdicts.read(release.workspace.stage("selection") / "verdicts" / "search-champion.parquet")
    right = [row["sample_id"] for row in table.to_pylist() if row["verdict"] == verdicts.RIGHT]
    pinned, marked = right[:2]
    add_to_replay([pinned], reason="it must stay right")
    mark_label(marked, reason="it shows something else")
    assert [row["sample"] for row in show_replay().value["incidents"]] == [pinned]
    assert release.workspace.samples("replay").encoded() == [release.workspace.samples("search").reader()(pinned)]


def test_killed_in_the_middle_it_goes_on_to_the_same_models(release: Stage) -> None:
    """Both recipes once more, against the first champion, with a sample pinned and one marked."""
    first, before = promoted()[0]["to_model"], read_status().value["champion"]
    release.train(again=0, other=1)
    kill_when(release, "training: ")
    assert read_status().value["champion"] == before == first
    answer = run_release("release")
    assert "training" in answer.value["ran"] and "validation" not in answer.value["ran"]
    assert contents(release.workspace.stage("training") / "again" / "model") == contents(
        release.workspace.baseline / "model"
    )
    decision = read_decisions(release.workspace)["other"]
    assert {check.split for check in decision.checks} >= {"search", "replay"}
    assert decision.counts is not None
    assert decision.counts.n == len(release.workspace.samples("search")) - 1, "the marked sample counts no more"


def contents(artefact: Path) -> dict[str, str]:
    """The digests of an artefact's files, its card left out, as that may name the candidate."""
    return {path.name: digest_file(path) for path in sorted(artefact.iterdir()) if path.name != "model.json"}


def kill_when(release: Stage, says: str) -> None:
    """Start a release and kill -9 it when its log has a line that says so."""
    command = [sys.executable, "-m", "flows", "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if says in line:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL, "".join(seen)


def test_run_again_it_has_nothing_to_do(release: Stage) -> None:
    answer = run_release("release", sources=release.sources)
    assert answer.value["ran"] == [] and read_status().value["would_run"] == []


def test_the_foreign_workload_is_short() -> None:
    """What a user must write. If this needs more, the seam is wrong."""
    lines = [line for path in FOREIGN.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    assert 0 < len(lines) <= MAX_LINES_OF_FOREIGN_WORKLOAD


def test_every_workload_has_a_part_in_the_story() -> None:
    assert ACTORS.keys() >= BUILT_IN.keys()
