"""Tells the whole story on the built-in catalogue: a champion, a better model that breaks things, one that does not.

The demo has a home and a workspace of its own below DETENT_HOME. Each chapter is an ordinary release; a killed
demo goes on with the chapter that it was in, and a finished one is told again from its record.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from components.core.files import read_json, write_json, write_text
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.workloads.products.workload import WORKLOAD
from components.workloads.rails.records import read_decisions
from flows.answers import Answer, Table
from flows.commands.run import run_release
from flows.layout import filled_params, lay_out
from flows.office import prepare

NUM_PER_CLASS = 10
NUM_PHOTOS = 6000
PARAMS: dict[str, Any] = {
    "catalog": "builtin",
    "validation": {"shares": {"train": 0.58, "search": 0.18, "certify": 0.24}},
    "synthesis": {"num_per_class": 60, "size_px": 64, "pastes": {"heap_probability": 0.1}},
    "selection": {
        "policy": {
            "limit": 0.025,
            "slices": {"columns": ["s_class"], "limit": 0.3, "min_n": 50},
            "improvement": {"rule": "improve"},
            "bootstrap_accuracy": 0.3,
            "spending": {"planned_looks": 4},
        }
    },
    "approval": {"name": "demo", "auto": True},
}
TRAINING: dict[str, Any] = {
    "size_px": 48,
    "batch": 32,
    "flip_target": 0.005,
    "synthetic_share": 0.1,
    "zoom": 0.9,
    "turn_deg": 5.0,
    "mix_share": 0.0,
}
SMALL = {"widths": [16, 32, 64, 128], "epochs": 7, "learning_rate": 0.004}
LARGE = {"widths": [24, 48, 96, 192], "epochs": 16, "learning_rate": 0.004}
AROUND = {**LARGE, "treatment": "contained"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One release of the story: what is said before it, and its candidates."""

    title: str
    candidates: Mapping[str, Mapping[str, Any]]


CHAPTERS = (
    Chapter(
        title="A first model. There is no champion yet, so it only has to prove that it is any good.",
        candidates={"first": SMALL, "synthetic-only": {**SMALL, "use": "synthetic"}},
    ),
    Chapter(
        title="A bigger model, trained from scratch. It is more accurate. Does it break what worked?",
        candidates={"bigger": LARGE},
    ),
    Chapter(
        title="The same bigger network around the champion, which it overrules only where it is much surer.",
        candidates={"contained": AROUND},
    ),
)


def run_demo(*, seed: int = 0, fresh: bool = False) -> Answer:
    """Run what is left of the story and tell all of it; the same seed tells the same story on one machine."""
    home = Settings().home.resolve() / "demo"
    os.environ["DETENT_HOME"] = str(home)
    os.environ.update(PREFECT_HOME=str(home / "prefect"), BENTOML_HOME=str(home / "bentoml"))
    os.environ["DETENT_WORKSPACE"] = str(home / "workspace")
    record = home / "story.json"
    if fresh or (record.is_file() and read_json(record)["seed"] != seed):
        shutil.rmtree(home, ignore_errors=True)
    workspace = Workspace.from_settings(prepare())
    lay_out(workspace.root, WORKLOAD, catalog=PARAMS["catalog"], git=False)
    story: dict[str, Any] = read_json(record) if record.is_file() else {"seed": seed, "chapters": []}
    _photograph(workspace, seed=seed)
    for chapter in CHAPTERS[len(story["chapters"]) :]:
        click.echo(f"\n{chapter.title}", err=True)
        story["chapters"].append(_release(chapter, workspace, seed=seed))
        write_json(record, story)
    return _tell(story, workspace)


def _photograph(workspace: Workspace, *, seed: int) -> None:
    """The shop's own pictures, and, from another generator, what customers would send in."""
    from components.synthesis.builtin.catalog import render_catalog
    from components.synthesis.builtin.customers.photography import photograph_customers
    from components.synthesis.picture.contact_sheet import draw_contact_sheet

    catalog, photos = workspace.source("catalog"), workspace.source("photos")
    if not (workspace.reports / "catalog.png").is_file():
        click.echo("rendering the catalogue", err=True)
        render_catalog(catalog, num_per_class=NUM_PER_CLASS, size_px=96, seed=seed)
        draw_contact_sheet(catalog, workspace.reports / "catalog.png")
    if not (workspace.reports / "photos.png").is_file():
        click.echo("taking customers' photos", err=True)
        photograph_customers(photos, num_photos=NUM_PHOTOS, size_px=64, seed=seed)
        draw_contact_sheet(photos, workspace.reports / "photos.png")


def _release(chapter: Chapter, workspace: Workspace, *, seed: int) -> dict[str, Any]:
    candidates = {name: dict(recipe) for name, recipe in chapter.candidates.items()}
    training = {**TRAINING, "candidates": candidates}
    write_text(workspace.params, filled_params(WORKLOAD, {**PARAMS, "seed": seed, "training": training}))
    answer = run_release("release")
    for page in answer.value["reports"]:
        shutil.copy(page, workspace.reports)  # the next chapter's release puts its own in their place
    return {"title": chapter.title, "answer": dict(answer.value), "rows": _rows(workspace)}


def _rows(workspace: Workspace) -> list[dict[str, Any]]:
    rows = []
    for name, decision in read_decisions(workspace).items():
        counts = decision.counts
        rows.append(
            {
                "candidate": name,
                "decision": decision.outcome,
                "accuracy": counts.new_accuracy if counts else None,
                "flips": counts.negative_flips if counts and decision.digests.get("champion") else None,
                "n": counts.n if counts else None,
                "champion_accuracy": counts.old_accuracy if counts else None,
                "p": decision.paired.mcnemar_exact if decision.paired else None,
                "floor": decision.noise_floor.rate if decision.noise_floor else None,
                "certified": decision.certified,
                "reasons": list(decision.reasons),
            }
        )
    return rows


def _tell(story: Mapping[str, Any], workspace: Workspace) -> Answer:
    rows = [row for chapter in story["chapters"] for row in chapter["rows"]]
    table = Table(
        title="the story, figures on the search split",
        columns=("candidate", "accuracy", "negative flips", "certified", "decision"),
        rows=[
            (
                row["candidate"],
                f"{100 * row['accuracy']:.1f}%",
                "-" if row["flips"] is None else f"{row['flips']} of {row['n']} ({100 * row['flips'] / row['n']:.1f}%)",
                {True: "yes", False: "no", None: "not asked"}[row["certified"]],
                row["decision"],
            )
            for row in rows
        ],
    )
    last = story["chapters"][-1]["answer"]
    options = f"--home {os.path.relpath(workspace.home)} --workspace {os.path.relpath(workspace.root)}"
    return Answer(
        value=dict(story),
        tables=[table],
        after=[
            *_explain(rows),
            f"pictures   {os.path.relpath(workspace.reports)}/catalog.png, photos.png",
            f"reports    {os.path.relpath(workspace.reports)}/bigger.html, contained.html",
            f"Bento      {last['bento']}",
            "approval   automatic, on record as policy:demo (params.yaml, approval.auto); yours asks a person",
            "try next   source .venv/bin/activate",
            f"  detent {options} serve --port 3000",
            f"  detent {options} status",
            f"  mlflow ui --backend-store-uri sqlite:///{os.path.relpath(workspace.home)}/mlflow/mlflow.db",
        ],
    )


def _explain(rows: list[dict[str, Any]]) -> list[str]:
    """What happened in words, from the figures: a seed may tell another story than the expected one."""
    by_name = {row["candidate"]: row for row in rows}
    lines = []
    first, synthetic = by_name["first"], by_name["synthetic-only"]
    gap = 100 * (first["accuracy"] - synthetic["accuracy"])
    lines.append(f"Trained on synthetic images alone the first model loses {gap:.0f} points: the gap is real.")
    for name in ("bigger", "contained"):
        row = by_name[name]
        if row["flips"] is None:
            lines.append(f"{name}: {row['decision']}; this seed has no champion to hold it against.")
            continue
        points = 100 * (row["accuracy"] - row["champion_accuracy"])
        floor = "" if row["floor"] is None else f" (a mere reseed of the champion breaks {100 * row['floor']:.1f}%)"
        lines.append(
            f"{name}: {points:+.1f} points against the champion (exact McNemar p = {row['p']:.1g}), {row['flips']} "
            f"images that worked are broken{floor}. {row['decision']}: {'; '.join(row['reasons'])}."
        )
    return lines
