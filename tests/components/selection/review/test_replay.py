from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.core import digests, manifest
from components.core.errors import DataError, IntegrityError, LeakError
from components.core.samples import question_id
from components.selection.review import replay
from components.selection.review.replay import Incident, add, read_incidents, replay_set

IMAGE = b"encoded picture"
INCIDENT = Incident(sample_id=digests.sample_id(IMAGE), truth="mug", who="kim", why="complaint 17")


def test_an_incident_is_pinned_once(tmp_path: Path) -> None:
    for _ in range(2):
        add(tmp_path, [IMAGE], INCIDENT)
    assert read_incidents(tmp_path) == (INCIDENT,)
    rows = manifest.read(tmp_path).to_pylist()
    assert [(row["sample_id"], row["split"], row["label"]) for row in rows] == [(INCIDENT.sample_id, "replay", "mug")]


def test_swapped_content_certify_samples_and_silence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is not the id of this picture"):
        add(tmp_path, [b"another picture"], INCIDENT)
    with pytest.raises(LeakError, match="certify"):
        add(tmp_path, [IMAGE], INCIDENT, certify_ids={INCIDENT.sample_id})
    with pytest.raises(DataError, match="a name and a reason"):
        add(tmp_path, [IMAGE], replace(INCIDENT, why=""))
    assert read_incidents(tmp_path) == ()


OTHER = b"another picture"
PAIR = Incident(
    sample_id=question_id([digests.sample_id(OTHER), digests.sample_id(IMAGE)], "same?"),
    truth="same", who="kim", why="complaint 18", ask="same?",
)  # fmt: skip


def asked(folder: Path) -> dict[str, tuple[list[str], str, str]]:
    rows = replay_set(folder).table().to_pylist()
    return {row["sample_id"]: (row["images"], row["ask"], row["truth"]) for row in rows}


def test_incidents_of_one_picture_need_no_table_and_are_kept_when_one_of_two_comes(tmp_path: Path) -> None:
    add(tmp_path, [IMAGE], INCIDENT)
    assert not replay_set(tmp_path).path.exists()
    first, second = digests.sample_id(IMAGE), digests.sample_id(OTHER)
    assert asked(tmp_path) == {first: ([first], "", "mug")}
    add(tmp_path, [OTHER, IMAGE], PAIR)
    plain = {first: ([first], "", "mug"), PAIR.sample_id: ([second, first], "same?", "same")}
    assert asked(tmp_path) == plain, "a picture is no question for having come with one"
    assert sorted(manifest.read(tmp_path)["sample_id"].to_pylist()) == sorted([first, second]), "each is kept once"
    assert replay_set(tmp_path).reader()(PAIR.sample_id) == [OTHER, IMAGE]
    add(tmp_path, [OTHER], Incident(sample_id=second, truth="cup", who="kim", why="complaint 19"))
    assert asked(tmp_path) == plain | {second: ([second], "", "cup")}
    assert [incident.ask for incident in read_incidents(tmp_path)] == ["", "same?", ""]


@pytest.mark.parametrize("dies_at", ["_keep_images", "_keep_question", "append"])
def test_what_a_kill_left_is_finished_by_adding_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Killed after each step in turn; what comes meanwhile is not harmed."""
    add(tmp_path, [IMAGE], INCIDENT)
    place = replay.lines if dies_at == "append" else replay
    real = getattr(place, dies_at)

    def dying(*arguments: Any, **more: Any) -> None:
        if dies_at != "append":
            real(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, dies_at, dying)
        with pytest.raises(KeyboardInterrupt):
            add(tmp_path, [OTHER, IMAGE], PAIR)
    third = b"a third"
    add(tmp_path, [third], Incident(sample_id=digests.sample_id(third), truth="jug", who="kim", why="meanwhile"))
    add(tmp_path, [OTHER, IMAGE], PAIR)
    assert asked(tmp_path).keys() == {INCIDENT.sample_id, digests.sample_id(third), PAIR.sample_id}
    assert replay_set(tmp_path).reader()(PAIR.sample_id) == [OTHER, IMAGE]


def test_a_question_that_shows_a_picture_of_certify_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="certify"):
        add(tmp_path, [OTHER, IMAGE], PAIR, certify_ids={digests.sample_id(OTHER)})
    assert read_incidents(tmp_path) == ()
