"""Verdicts find their factors, certify stays sealed, regions become aims, params.yaml keeps its form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import yaml

from components.core import verdicts
from components.core.decisions import Decision
from components.core.errors import ConfigError, DataError, RefusedError, StateError
from components.core.files import write_json, write_text
from components.core.manifest import write_shard
from components.core.workspace import Workspace
from components.selection.regions.error_regions import RegionTest, find_regions
from components.selection.regions.region_tree import CLASS, Condition, ErrorTable, Region
from components.selection.review import marks
from components.selection.stage import winner_json
from components.synthesis.picture.aims import Aim
from components.workloads.classification.aiming import (
    Drawn,
    aims_for,
    default_verdicts,
    drawn_factors,
    read_evidence,
    write_aims,
)

N = 900


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A release's search split, whose photos from the side fail, and its verdicts; a sealed certify split."""
    made = Workspace(root=tmp_path / "workspace", home=tmp_path / "home")
    rng = np.random.default_rng(0)
    azimuth = rng.uniform(-60, 60, N)
    rows = [
        {
            "sample_id": f"s{index:04d}",
            "label": f"c{index % 5}",
            "split": "search",
            "group": f"g{index}",
            "f_azimuth_deg": float(azimuth[index]),
            "f_clutter": index % 3,
            "f_light": ("day", "lamp")[index % 2],
        }
        for index in range(N)
    ]
    photos = made.stage("validation") / "photos"
    write_shard(photos / "search" / "shard-00000.parquet", rows[::-1])
    write_shard(photos / "certify" / "shard-00000.parquet", [{"sample_id": "sealed", "label": "c0"}])
    wrong = rng.random(N) < np.where(azimuth > 40, 0.6, 0.1)
    verdicts.write(table_path(made, "plain"), judged(wrong))
    verdicts.write(table_path(made, "champion"), judged(np.arange(N) < 100))
    verdicts.write(table_path(made, "poor"), judged(np.ones(N, bool)))
    return made


def table_path(workspace: Workspace, name: str) -> Path:
    return workspace.stage("selection") / "verdicts" / f"search-{name}.parquet"


def judged(wrong: np.ndarray, ids: list[str] | None = None) -> pa.Table:
    """A verdict table with these errors; every fifth error an abstention."""
    verdict = np.where(wrong, np.where(np.arange(len(wrong)) % 5, 0, -1), 1)
    names = ids or [f"s{index:04d}" for index in range(len(wrong))]
    columns = {"sample_id": names, "verdict": verdict.astype(np.int8), "score": np.ones(len(wrong), np.float32)}
    return pa.table({**columns, "prediction": ["c0"] * len(wrong), "s_class": ["c1"] * len(wrong)})


def read(workspace: Workspace, path: Path | None = None, folder: Path | None = None, against: str | None = None):
    return read_evidence(workspace, verdict_file=path, folder=folder, against=against)


def test_search_verdicts_meet_their_factors_whatever_the_order(workspace: Workspace) -> None:
    table = read(workspace).table
    assert set(table.numbers) == {"azimuth_deg", "clutter"} and set(table.words) == {"light", CLASS}
    assert list(table.words[CLASS][:6]) == ["c0", "c1", "c2", "c3", "c4", "c0"]
    assert table.wrong[table.numbers["azimuth_deg"] > 40].mean() > 0.5 > table.wrong.mean()
    assert len(set(table.groups)) == N


def test_the_winner_is_asked_else_the_most_accurate_candidate(workspace: Workspace) -> None:
    assert default_verdicts(workspace) == table_path(workspace, "plain")
    decision = Decision(
        outcome="PROMOTE", candidate="poor", mode="sealed", certified=True, reasons=(), shown_split="search"
    )
    write_text(workspace.stage("selection") / "poor.decision.json", decision.to_json())
    write_json(workspace.stage("selection") / "winner.json", winner_json("poor", {"poor": decision}))
    assert default_verdicts(workspace) == table_path(workspace, "poor")
    for path in (workspace.stage("selection") / "verdicts").iterdir():
        path.unlink()
    with pytest.raises(StateError, match="detent run release"):
        default_verdicts(workspace)


def test_flips_count_only_where_the_old_model_was_right(workspace: Workspace) -> None:
    evidence = read(workspace, against="champion")
    assert evidence.kind == "negative flips" and len(evidence.table) == N - 100
    assert evidence.table.wrong.sum() == (read(workspace).table.wrong[100:]).sum()
    table_path(workspace, "champion").unlink()
    with pytest.raises(StateError, match="no champion"):
        read(workspace, against="champion")


def test_flips_between_different_samples_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    verdicts.write(tmp_path / "other.parquet", judged(np.zeros(N - 1, bool)))
    with pytest.raises(DataError, match="different samples"):
        read(workspace, against=str(tmp_path / "other.parquet"))


def test_wrongly_labelled_samples_are_left_out(workspace: Workspace) -> None:
    marks.mark(workspace.marks, "s0003", split="search", who="ada", why="is a pan")
    evidence = read(workspace)
    assert len(evidence.table) == N - 1 and "1 samples are left out" in evidence.notes[0]


def test_any_tools_table_meets_any_manifest(workspace: Workspace, tmp_path: Path) -> None:
    ids = [f"other-{index}" for index in range(50)]
    table = judged(np.arange(50) < 25, ids)
    pa_csv.write_csv(table.select(["sample_id", "verdict", "s_class"]), tmp_path / "table.csv")
    alone = read(workspace, tmp_path / "table.csv")
    assert not alone.table.numbers and "only the slices" in alone.notes[0]
    assert set(alone.table.words[CLASS]) == {"c1"}
    rows = [{"sample_id": name, "label": "pan", "f_scale": 0.5, "group": None} for name in ids[1:]]
    write_shard(tmp_path / "manifest" / "shard-00000.parquet", rows)
    with pytest.raises(DataError, match="1 of 50 judged samples are not in the manifest"):
        read(workspace, tmp_path / "table.csv", tmp_path / "manifest")
    write_shard(tmp_path / "manifest" / "shard-00001.parquet", [{"sample_id": ids[0], "label": "mug", "f_scale": None}])
    joined = read(workspace, tmp_path / "table.csv", tmp_path / "manifest").table
    assert set(joined.words[CLASS]) == {"pan", "mug"} and np.isnan(joined.numbers["scale"]).sum() == 1
    assert len(set(joined.groups)) == 50


def test_certify_verdicts_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    verdicts.write(tmp_path / "sealed.parquet", judged(np.zeros(2, bool), ["s0000", "sealed"]))
    with pytest.raises(RefusedError, match="certify"):
        read(workspace, tmp_path / "sealed.parquet")


def test_a_named_region_becomes_an_aim_within_what_was_judged(workspace: Workspace) -> None:
    table = read(workspace).table
    aims, notes = aims_for(find_regions(table), table, (), share=0.4)
    low, high = aims[0].ranges["azimuth_deg"]
    assert 35 < low < 45 and 59 < high <= 60 and not aims[0].classes and not notes
    assert 0.39 < sum(aim.share for aim in aims) <= 0.4
    with pytest.raises(ConfigError, match=r"must lie in \(0, 1\]"):
        aims_for(find_regions(table), table, (), share=1.5)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [({"scale": (0.1, 1.0)}, "draws no number azimuth_deg"), ({"azimuth_deg": (-30.0, 30.0)}, "widen that first")],
)
def test_what_the_generator_cannot_make_is_no_aim(
    workspace: Workspace, numbers: dict[str, tuple[float, float]], why: str
) -> None:
    table = read(workspace).table
    drawn = [Drawn(classes=frozenset({"c1"}), numbers=numbers)]
    aims, notes = aims_for(find_regions(table), table, drawn, share=0.5)
    assert not any("azimuth_deg" in aim.ranges for aim in aims)
    assert any(why in note for note in notes)


def test_an_aim_keeps_to_what_one_generator_draws() -> None:
    """Two factors that two generators draw cannot be aimed at together; the one that draws more is meant."""
    rng = np.random.default_rng(0)
    numbers = {name: rng.uniform(0, 1, 400) for name in ("azimuth_deg", "view_m", "scale")}
    table = ErrorTable(wrong=rng.random(400) < 0.3, numbers=numbers, words={}, groups=np.arange(400))
    conditions = (*(Condition(factor=name, low=0.3) for name in numbers), Condition(factor=CLASS, words=("mug",)))
    test = RegionTest(
        region=Region(conditions=conditions),
        n=50, errors=40, rest_n=150, rest_errors=20, p=1e-9, p_holm=1e-9, named=True,
    )  # fmt: skip
    report = replace(find_regions(table), tests=(test,))
    pastes = Drawn(classes=frozenset({"mug", "pan"}), numbers={"view_m": (0, 1), "scale": (0, 1)})
    renders = Drawn(classes=frozenset({"sofa", "mug"}), numbers={"azimuth_deg": (0, 1)})
    ((aim,), notes) = aims_for(report, table, [renders, pastes], share=0.5)
    assert set(aim.ranges) == {"view_m", "scale"} and aim.classes == ("mug",) and "azimuth_deg" in " ".join(notes)
    others = replace(pastes, classes=frozenset({"pan"}))
    ((aim,), _) = aims_for(report, table, [renders, others], share=0.5)
    assert set(aim.ranges) == {"azimuth_deg"}, "the other generator does not show mugs"
    assert aims_for(report, table, [others], share=0.5)[0] == ()


def test_words_become_aims_where_a_generator_can_be_narrowed_to_them() -> None:
    rng = np.random.default_rng(0)
    words = {name: np.array(["a", "b"] * 200, dtype=object) for name in ("light", "season")}
    numbers = {"scale": rng.uniform(0, 1, 400)}
    table = ErrorTable(wrong=rng.random(400) < 0.3, numbers=numbers, words=words, groups=np.arange(400))
    conditions = Condition(factor="light", words=("sky", "moon")), Condition(factor="season", words=("spring",))
    test = RegionTest(
        region=Region(conditions=conditions),
        n=50, errors=40, rest_n=150, rest_errors=20, p=1e-9, p_holm=1e-9, named=True,
    )  # fmt: skip
    report = replace(find_regions(table), tests=(test,))
    pastes = Drawn(classes=frozenset({"mug"}), numbers={})
    renders = replace(pastes, words={"light": frozenset({"sky", "lamp"})})
    for drawn in ([pastes, renders], []):
        ((aim,), notes) = aims_for(report, table, drawn, share=0.5)
        assert aim.words == {"light": ("sky", "moon")} and not aim.ranges
        (note,) = notes
        assert "season is a factor in words that the generator cannot be narrowed to" in note
    assert aims_for(report, table, [pastes], share=0.5)[0] == ()
    dark = replace(pastes, words={"light": frozenset({"lamp"})})
    aims, notes = aims_for(report, table, [dark], share=0.5)
    assert aims == () and any("light sky or moon is not made (only lamp)" in note for note in notes)


def test_drawn_factors_are_the_numbers_that_each_generator_made(tmp_path: Path) -> None:
    rows = [
        {"sample_id": "a", "label": "mug", "source": "paste", "f_scale": 0.5, "f_light": "day"},
        {"sample_id": "b", "label": "pan", "source": "paste", "f_scale": 0.7, "f_light": "day"},
        {"sample_id": "c", "label": "mug", "source": "render", "f_azimuth_deg": 10.0, "f_light": "sky"},
        {"sample_id": "d", "label": "mug", "source": "render", "f_azimuth_deg": 10.0, "f_light": "lamp"},
    ]
    write_shard(tmp_path / "made" / "shard-00000.parquet", rows)
    assert drawn_factors(tmp_path / "made") == (
        Drawn(classes=frozenset({"mug", "pan"}), numbers={"scale": (0.5, 0.7)}),
        Drawn(
            classes=frozenset({"mug"}),
            numbers={"azimuth_deg": (10.0, 10.0)},
            words={"light": frozenset({"sky", "lamp"})},
        ),
    )
    assert drawn_factors(tmp_path / "nowhere") == ()


PARAMS = """\
# What DVC tracks of a release.
workload: products
catalog: "main"  # one champion per catalogue
seed: 0

synthesis:
  num_per_class: 40   # a class
  size_px: 128

validation:
  shares: {train: 0.70, search: 0.1, certify: 0.2} # dealt out by group
"""
AIMS = (
    Aim(share=0.3, ranges={"scale": (0.5, 0.7)}, classes=("mug", "007")),
    Aim(share=0.2, words={"light": ("sky", "lamp")}),
)


def test_aims_are_written_and_every_other_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    write_aims(path, AIMS)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line in PARAMS.splitlines()] == PARAMS.splitlines()
    written = yaml.safe_load(path.read_text())["synthesis"]["aims"]
    assert written[0] == {"share": 0.3, "classes": ["mug", "007"], "ranges": {"scale": [0.5, 0.7]}}
    assert [Aim.model_validate(aim) for aim in written] == list(AIMS)
    write_aims(path, AIMS[1:])
    assert len(yaml.safe_load(path.read_text())["synthesis"]["aims"]) == 1


def test_a_workspace_without_a_synthesis_section_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("workload: products\nsynthesis:\nseed: 1\n")
    write_aims(path, AIMS)
    assert yaml.safe_load(path.read_text())["synthesis"]["aims"][0]["share"] == 0.3


def test_params_that_would_be_wrong_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    with pytest.raises(ConfigError, match="must not exceed 1 together"):
        write_aims(path, [AIMS[0].model_copy(update={"share": 0.9}), AIMS[1]])
    assert path.read_text() == PARAMS
