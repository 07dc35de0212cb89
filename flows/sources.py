"""Takes in what a user brings: each source that the workload knows becomes a manifest below data/ that DVC tracks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from components.core import manifest
from components.core.errors import ConfigError, SourceError
from components.core.workloads import Source, Workload
from flows.office import Office

log = logging.getLogger(__name__)


def take_in(office: Office, addresses: Mapping[str, str]) -> None:
    """Turn the named sources into tracked manifests; one that is unchanged since is left alone.

    An absent source that was never named becomes an empty manifest. ConfigError for a source that the workload does
    not know, SourceError for what cannot be used, or for a source that the workload needs and nobody has named.
    """
    from components.datasets.sources import ingest, ingest_nothing

    check_names(office.workload, addresses)
    check_required(office, addresses)
    graph = office.graph
    for source in office.workload.sources:
        folder, address = office.workspace.source(source.name), addresses.get(source.name)
        if address is not None:
            mark = office.workspace.cache / "sources" / f"{source.name}.fingerprint"
            summary = ingest(address, out=folder, source=source, fingerprint_file=mark)
            if summary.changed:
                log.info("%s: %d images from %s", source.name, summary.num_images, address)
        elif not is_taken_in(folder):
            ingest_nothing(folder, source)
        if not folder.with_name(f"{source.name}.dvc").is_file() or address is not None:
            graph.track(folder)
    if not is_taken_in(office.workspace.replay):
        with manifest.ManifestWriter(office.workspace.replay):
            pass
        graph.track(office.workspace.replay)
    if office.workload.check_sources is not None:
        for warning in office.workload.check_sources(office.workspace):
            log.warning("%s", warning)


def photo_source(workload: Workload) -> Source:
    """The source of the labelled photos that are dealt to splits; ConfigError when the workload has none."""
    found = next((source for source in workload.sources if source.rows == "photo" and source.labelled), None)
    if found is None:
        raise ConfigError(f"workload '{workload.name}' has no labelled photos to deal to splits")
    return found


def check_names(workload: Workload, names: Iterable[str]) -> None:
    """ConfigError for a source that the workload does not know; it names the known ones."""
    strange = sorted(set(names) - {source.name for source in workload.sources})
    if strange:
        known = "; ".join(f"{source.name} ({source.summary})" for source in workload.sources)
        raise ConfigError(f"workload '{workload.name}' has no source {', '.join(strange)}; it has {known}")


def check_required(office: Office, addresses: Mapping[str, str]) -> None:
    """SourceError where a source that the workload needs is neither here nor named; it says what belongs in it."""
    for source in office.workload.sources:
        if source.required and source.name not in addresses and not is_taken_in(office.workspace.source(source.name)):
            raise SourceError(f"no {source.name} yet: name one with {option(source)}; {source.summary}")


def option(source: Source) -> str:
    """How a source is named on the command line."""
    return f"--{source.name} DIR" if source.name in SHORTCUTS else f"--source {source.name}=DIR"


SHORTCUTS = ("catalog", "photos", "backgrounds")  # sources with an option of their own


def is_taken_in(folder: Path) -> bool:
    """Whether a source's manifest is there."""
    return any(folder.glob("*.parquet"))


def fresh_sources(office: Office) -> list[str]:
    """The sources whose manifests are not here yet."""
    names = [source.name for source in office.workload.sources]
    return [name for name in names if not is_taken_in(office.workspace.source(name))]
