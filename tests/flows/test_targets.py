"""A phone with a champion of its own, over three releases; the tests tell one story and run in order.

Models are trained here in a moment to be blind to one class, so that it is known what each breaks; all after them is
the real thing, but for the building of Bentos and the Prefect server.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from components.core.champions import Champion, ChampionKey
from components.core.errors import IntegrityError, StateError
from components.core.files import read_json, write_json
from components.core.workloads import Parity
from components.core.workspace import Workspace
from components.datasets.pixels import PixelStore
from components.models.artefacts import ModelSpec, save_model
from components.models.identity import model_digest
from components.models.networks.registry import build_network
from components.models.prediction import normalise
from components.packaging.projection import BentoTag, champion_bento
from components.selection.search.record import write_record
from components.tracking.registry import DIGEST, champion_alias, register_model
from components.workloads.rails.records import read_decisions, read_target_winners
from flows import ghosts, promotion
from flows.baseline import refresh_baseline
from flows.commands import decide
from flows.commands.decide import reconcile_stores, roll_back, show_history, verify_journal
from flows.commands.status import read_status
from flows.office import Office
from flows.promotion import Outcome, propose_winners
from tests.flows.drawn import PARAMS, PRODUCTS, lay_out_splits, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
Release = tuple[Workspace, dict[str, str]]
SHAPE = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1]}
BALL, BOX, CAN = range(3)
PHONE = ChampionKey("products", "drawn", "phone")
SMALL, LARGE = {"multiply_adds": 1e3}, {"multiply_adds": 1e6}


@pytest.fixture(scope="module", autouse=True)
def _by_hand() -> Iterator[None]:
    """Bentos of the model's files alone, promotions without a Prefect server, rollbacks that believe a Bento."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.packaging.packaging.build_bento", wrap)
        patch.setattr("components.packaging.packaging.check_parity", lambda *_, **__: PARITY)
        patch.setattr("components.packaging.packaging._keep_model", lambda *_: None)
        patch.setattr(promotion, "create_table_artifact", lambda *_, **__: None)
        patch.setattr(promotion, "move_champion", promotion.move_champion.fn)
        patch.setattr(decide, "reverify_in", lambda _workspace: lambda _champion: None)
        yield


PARITY = Parity(num_samples=8, max_difference=0.0, tolerance=0.0)


def wrap(model: Path, *, version_info: Mapping[str, str], bento_home: Path, **_service: object) -> SimpleNamespace:
    digest = model_digest(model)
    path = bento_home / "bentos" / "detent" / digest[:12]
    shutil.copytree(model, path / "src", dirs_exist_ok=True)
    (path / "bento.yaml").write_text(version_info["candidate"])
    return SimpleNamespace(tag=f"detent:{digest[:12]}", digest=digest, path=path, model_digest=digest)


def train_blind(workspace: Workspace, name: str, *, blind_to: int | None, seed: int) -> Path:
    """A candidate that takes one class for the next, and has all others right."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    spec = ModelSpec(architecture=SHAPE, classes=tuple(PRODUCTS), size_px=16)
    store = PixelStore.open(
        workspace.stage("validation") / "photos" / "train", size_px=spec.size_px, cache=workspace.cache
    )
    labels = np.array([list(PRODUCTS).index(label) for label in store.labels])
    labels = np.where(labels == blind_to, (labels + 1) % 3, labels)
    images = normalise(torch.from_numpy(np.array(store.pixels)), spec)
    network = build_network(SHAPE).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), torch.from_numpy(labels)).backward()
        optimizer.step()
    folder = workspace.stage("training") / name / "model"
    save_model(folder, network.eval(), spec)
    return folder


def hold(workspace: Workspace, models: dict[str, int | None], *, finalist: str, seed: int) -> Outcome:
    """A release of these candidates, by name what each is blind to: pinned, gated, packaged and proposed."""
    office = Office.open()
    refresh_baseline(office)
    shutil.rmtree(workspace.stage("training"), ignore_errors=True)
    with office.on_record("release"):
        for name, blind_to in models.items():
            folder = train_blind(workspace, name, blind_to=blind_to, seed=seed)
            tags = {DIGEST: model_digest(folder)}
            with office.tracker.run(name, parent=office.run_id) as run_id:
                register_model(office.tracker, office.model_name, folder, run_id=run_id, tags=tags)
        costs = {name: SMALL if name == finalist else LARGE for name in models}
        write_record(workspace.stage("training"), targets={"phone": {"candidate": finalist}}, costs=costs)
        for stage in ("selection", "packaging"):
            office.workload.stages[stage].run(office.given)
        return propose_winners.fn(office)


def champion(target: str = "") -> Champion | None:
    return Office.open().champion(target)


def served(workspace: Workspace) -> dict[str, Any]:
    told: dict[str, Any] = read_json(workspace.stage("selection") / "targets.json")["phone"]
    return told


def num_looks(workspace: Workspace) -> int:
    return max(
        len(decision.budget.looks) for decision in read_decisions(workspace).values() if decision.budget is not None
    )


def test_the_first_release_gives_the_phone_a_champion_of_its_own(release: Release) -> None:
    workspace, _ = release
    lay_out_splits(workspace, signal=120)
    write_params(
        workspace,
        people={"default_roles": ["engineer", "release manager"]},
        training={**PARAMS["training"], "family": {"widths": [[4], [8]], "depths": [[1], [1]]}},
        selection={
            "policy": {
                "limit": 0.2,
                "slices": {"columns": [], "limit": 0.5},
                "improvement": {"rule": "non-inferior", "margin": 0.45},
                "bootstrap_accuracy": 0.3,
            },
            "targets": [{"name": "phone", "multiply_adds": 1e4, "flip_limit": 0.5}],
        },
    )
    outcome = hold(workspace, {"large": BALL, "small": CAN}, finalist="small", seed=1)
    assert (outcome.winner, outcome.promoted) == ("large", True)
    assert (outcome.targets["phone"].winner, outcome.targets["phone"].promoted) == ("small", True)
    main, phone = champion(), champion("phone")
    assert main is not None and phone is not None and phone.model == served(workspace)["digest"] != main.model
    assert [row["target"] for row in show_history().value["rows"]] == ["", "", "", "phone", "phone", "phone"]
    assert len(show_history(target="phone").value["rows"]) == 3


def test_every_mirror_shows_the_phones_champion_beside_the_main_one(release: Release) -> None:
    workspace, _ = release
    phone = champion("phone")
    assert phone is not None and phone.bento is not None
    shown = BentoTag(workspace.bentos).read(PHONE)
    assert shown is not None and (shown.model, shown.sequence) == (phone.model, phone.sequence)
    assert (workspace.bentos / "champions" / "products--drawn--phone.json").is_file()
    assert champion_bento(workspace.bentos, PHONE).name == phone.bento.removeprefix("detent:")
    alias = champion_alias(Office.open().tracker, "products-drawn", "phone")
    assert alias == (phone.model, phone.sequence)
    assert read_status().value["targets"]["phone"]["champion"] == phone.model
    assert any(line.startswith("champion for phone: version 2") for line in read_status().lines)


def test_a_release_that_breaks_what_the_phone_had_right_is_refused_for_the_phone(release: Release) -> None:
    """It is blind to the ball, as the main champion is: nothing is lost there, and a third of all on the phone."""
    workspace, _ = release
    before = champion("phone")
    outcome = hold(workspace, {"newer": BALL}, finalist="newer", seed=2)
    assert (outcome.winner, outcome.promoted) == ("newer", True)
    decisions = read_decisions(workspace)
    assert {name: decision.outcome for name, decision in decisions.items()} == {
        "newer": "PROMOTE",
        "newer@phone": "REJECT",
    }
    counts = decisions["newer@phone"].counts
    assert counts is not None and counts.negative_flips >= 25 and counts.n == 90
    assert decisions["newer@phone"].digests["champion"] == before.model != decisions["newer"].digests["champion"]
    assert (workspace.stage("selection") / "newer@phone.html").is_file()
    assert (served(workspace)["candidate"], outcome.targets) == (None, {})
    assert f"newer is not certified: REJECT, {decisions['newer@phone'].reasons[0]}" in served(workspace)["reason"]
    assert f"it keeps its own champion {before.model[:12]}" in served(workspace)["reason"]
    assert champion("phone") == before


def test_one_that_breaks_nothing_on_either_is_proposed_for_both(release: Release) -> None:
    """Two champions are two questions, and two looks; the model is packaged once."""
    workspace, _ = release
    looks = num_looks(workspace)
    outcome = hold(workspace, {"better": None}, finalist="better", seed=3)
    assert {name: decision.outcome for name, decision in read_decisions(workspace).items()} == {
        "better": "PROMOTE",
        "better@phone": "PROMOTE",
    }
    assert num_looks(workspace) == looks + 2
    winner = read_target_winners(workspace)["phone"]
    assert (winner.candidate, winner.stem) == ("better", "better@phone")
    assert outcome.promoted and outcome.targets["phone"].promoted
    main, phone = champion(), champion("phone")
    assert main is not None and phone is not None and main.model == phone.model and main.bento == phone.bento
    rows = [row for row in show_history().value["rows"] if row["kind"] == "promoted"][-2:]
    assert [row["decision"] for row in rows] == [
        read_decisions(workspace)["better"].digest,
        read_decisions(workspace)["better@phone"].digest,
    ]


def test_once_both_run_the_same_one_decision_serves_both(release: Release) -> None:
    workspace, _ = release
    looks = num_looks(workspace)
    outcome = hold(workspace, {"again": None}, finalist="again", seed=4)
    assert [*read_decisions(workspace)] == ["again"] and num_looks(workspace) == looks + 1
    assert outcome.promoted and outcome.targets["phone"].promoted
    assert read_json(workspace.baseline / "baseline.json")["targets"].keys() == {"phone"}


def test_a_targets_word_is_carried_too(release: Release) -> None:
    """A targets.json that names what the gate refused for the phone, and one with the main champion's Decision."""
    workspace, _ = release
    hold(workspace, {"worse": CAN}, finalist="worse", seed=5)
    path = workspace.stage("selection") / "targets.json"
    kept, rows = path.read_bytes(), show_history().value["rows"]
    refused = read_decisions(workspace)["worse"]
    write_json(path, {"phone": {"candidate": "worse", "decision": {"name": "worse", "digest": refused.digest}}})
    with pytest.raises(IntegrityError, match="the gate said REJECT"):
        propose_winners.fn(Office.open())
    path.write_bytes(kept)
    assert show_history().value["rows"] == rows


def test_the_phone_is_rolled_back_alone(release: Release) -> None:
    main = champion()
    back = roll_back(reason="cans broke on phones", target="phone")
    assert back.exit_code == 0
    phone = champion("phone")
    assert phone is not None and (phone.version, back.value["champion"]["target"]) == ("4", "phone")
    assert champion() == main
    with pytest.raises(StateError, match="products / drawn for watch has no champion"):
        roll_back(reason="nobody has one", target="watch")


def test_reconcile_and_verify_know_the_targets(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = release
    for name in ("end_flow_ghosts", "end_server_ghosts"):
        monkeypatch.setattr(ghosts, name, list)
    (workspace.bentos / "champions" / "products--drawn--phone.json").unlink()
    answer = reconcile_stores()
    assert answer.value["agrees"] and BentoTag(workspace.bentos).read(PHONE) is not None
    assert any(line.startswith("bento of products / drawn for phone: written") for line in answer.lines)
    assert verify_journal().value["ok"]
