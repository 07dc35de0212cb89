"""Serves the champion: `detent serve`."""

from __future__ import annotations

from components.packaging.building import find_bento
from components.packaging.projection import champion_bento
from components.serving.server import serve
from flows.office import Office


def serve_champion(*, port: int, host: str, tag: str | None, target: str = "") -> None:
    """Serve the champion's Bento, a target's if one is named, or the Bento with this tag, in the foreground."""
    office = Office.open()
    bentos = office.workspace.bentos
    path = find_bento(bentos, tag) if tag is not None else champion_bento(bentos, office.key(target))
    serve(path, port=port, host=host, endpoint=office.workload.service.endpoint)
