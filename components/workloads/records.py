"""Reads back what a finished selection left in a workspace; needs no torch, so that status is quick."""

from __future__ import annotations

from components.core.decisions import Decision
from components.core.digests import digest_json, digest_tree
from components.core.files import read_json
from components.core.workspace import Workspace


def read_winner(workspace: Workspace) -> str | None:
    """The candidate that the gate let through, or None; also None before the first selection."""
    path = workspace.stage("selection") / "winner.json"
    return read_json(path)["candidate"] if path.is_file() else None


def read_decisions(workspace: Workspace) -> dict[str, Decision]:
    """The decisions of the last selection by candidate; empty before the first."""
    paths = sorted(workspace.stage("selection").glob("*.decision.json"))
    return {
        path.name.removesuffix(".decision.json"): Decision.from_json(path.read_text(encoding="utf-8")) for path in paths
    }


def evaluation_digest(workspace: Workspace) -> str:
    """The digest of what candidates are evaluated on: search and certify."""
    photos = workspace.stage("validation") / "photos"
    return digest_json([digest_tree(photos / split, "*.parquet") for split in ("search", "certify")])


def code_digest(workspace: Workspace) -> str:
    """The digest of the code that trains, evaluates and decides."""
    return digest_tree(workspace.root / "components", "*.py")
