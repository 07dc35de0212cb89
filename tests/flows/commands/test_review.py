"""Incidents are pinned by content, with who and why; burned samples go to replay; certify samples do not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.decisions import Decision
from components.core.digests import sample_id
from components.core.errors import DataError, LeakError, SourceError, StateError
from components.core.manifest import ManifestWriter
from components.core.settings import Settings
from components.core.workspace import Workspace
from flows.commands.review import add_to_replay, mark_label, pin_burned, show_replay
from tests.flows.drawn import make_workspace, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
IDS: dict[str, list[str]] = {}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose splits hold three drawn images each."""
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    made = Workspace.from_settings(Settings())
    make_workspace(made)
    write_params(made)
    rng = np.random.default_rng(0)
    for split in ("train", "search", "certify"):
        IDS[split] = []
        with ManifestWriter(made.stage("validation") / "photos" / split) as writer:
            for _ in range(3):
                buffer = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(buffer, format="PNG")
                data = buffer.getvalue()
                IDS[split].append(sample_id(data))
                writer.write({"sample_id": IDS[split][-1], "image": {"bytes": data, "path": None}, "label": "ball"})
    with ManifestWriter(made.replay):
        pass
    return made


def decide(workspace: Workspace, burned: list[str]) -> None:
    decision = Decision(
        outcome="HOLD",
        candidate="plain",
        mode="open",
        certified=False,
        reasons=("tried",),
        shown_split="certify",
        burned_ids=tuple(burned),
    )
    workspace.stage("selection").mkdir(parents=True)
    (workspace.stage("selection") / "plain.decision.json").write_text(decision.to_json())


def pinned() -> set[str]:
    return {row["sample"] for row in show_replay().value["incidents"]}


def test_a_search_sample_is_pinned_with_who_and_why(workspace: Workspace) -> None:
    add_to_replay([IDS["search"][0]], reason="customer 17 complained")
    (row,) = show_replay().value["incidents"]
    assert row["sample"] == IDS["search"][0] and row["why"] == "customer 17 complained" and row["who"]
    assert (workspace.data / "replay.dvc").is_file()


def test_what_is_nowhere_or_of_certify_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SourceError, match="neither an image file nor an id"):
        add_to_replay(IDS["certify"][:1], reason="looked")
    with pytest.raises(DataError, match="neither in the search split"):
        mark_label(IDS["certify"][0], reason="looked")
    assert pinned() == set()


def test_a_certify_image_given_as_a_file_is_a_leak(workspace: Workspace, tmp_path: Path) -> None:
    from components.core import manifest

    rows = manifest.read(workspace.stage("validation") / "photos" / "certify", ["image"]).to_pylist()
    (tmp_path / "photo.png").write_bytes(rows[0]["image"]["bytes"])
    with pytest.raises(LeakError):
        add_to_replay([str(tmp_path / "photo.png")], reason="found it", label="ball")


def test_burned_samples_go_to_replay_and_nothing_else_of_certify(workspace: Workspace) -> None:
    decide(workspace, IDS["certify"][:2])
    pin_burned(reason="open look of Monday")
    assert pinned() == set(IDS["certify"][:2])


def test_without_an_open_look_there_is_nothing_burned(workspace: Workspace) -> None:
    decide(workspace, [])
    with pytest.raises(StateError, match="burned no samples"):
        pin_burned(reason="")
