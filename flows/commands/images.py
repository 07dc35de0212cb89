"""What `detent remake` and `detent revoke` do: make an image again, and say what an asset has touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from components.core import manifest
from components.core.digests import SAMPLE_ID_LENGTH, digest_json
from components.core.errors import ConfigError, DataError
from components.core.files import read_json, write_bytes
from components.core.workspace import Workspace
from components.datasets.meshes import FOLDER
from components.promotion.rows import CHAMPION_KINDS
from components.tracking.lineage import SyntheticSet, TrainedModel, descend, synthetic_sets, trained_models
from flows.answers import Answer, Table
from flows.office import Office

_SHORTEST_PREFIX = 8
_UNKNOWN = "{number} models are older than these records, so nobody can say what they were trained on: {names}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A manifest that holds an asset as a row, or rows made from it."""

    path: str
    rows: int
    derived: int


def remake_sample(sample: str, *, out: str | None = None, folder: str | None = None) -> Answer:
    """Make a synthetic image again and compare it with its id; `out` names a file to write it to.

    `folder` is a manifest of the synthesis stage, by default the workspace's own. Errors: see
    `components/synthesis/provenance.py`.
    """
    office = Office.open()
    workspace = office.workspace
    if "synthesis" not in office.stages():
        raise ConfigError(f"workload '{office.workload.name}' makes no images, so there is none to make again")
    from components.synthesis.provenance import Origin, find_row, remake

    validated = workspace.stage("validation")
    origin = Origin(catalog=validated / "catalog", backgrounds=validated / "backgrounds", cache=workspace.cache)
    images = Path(folder) if folder is not None else workspace.stage("synthesis")
    data = remake(sample, images, origin)
    place = find_row(images, sample)
    if out is not None:
        write_bytes(Path(out), data)
    made = f"{place.sample_id}: made again, the same {len(data):,} bytes"
    return Answer(
        value={"sample": place.sample_id, "bytes": len(data), "recipe": dict(place.recipe), "file": out},
        lines=[made if out is None else f"{made}, in {out}"],
    )


def revoke_asset(digest: str) -> Answer:
    """List every dataset and every model that an asset (picture, 3D model, background, photo) touched.

    `digest` is a sample id, a sha256, or at least 8 digits of its beginning. Nothing is deleted. DataError when no
    record names it, ConfigError when it is ambiguous.
    """
    office = Office.open()
    workspace = office.workspace
    sets, models = synthetic_sets(office.tracker), trained_models(office.tracker)
    asset = _identify(digest.lower(), office, sets, models)
    present = [found for path in _manifests(office) if (found := _look(path, asset, workspace)) is not None]
    used = [item for item in sets if any(a["sample_id"] == asset and a["used"] for a in item.assets)]
    return _tell(asset, present, used, models, office)


def _touched(models: list[TrainedModel], asset: str, recipes: set[str]) -> set[str]:
    """The models that were trained on images made from the asset, or on the asset itself."""
    return {
        model.digest
        for model in models
        if model.inputs is not None
        and (
            (model.uses_synthetic and model.inputs.get("synthesis_recipe") in recipes)
            or (model.uses_photos and asset in model.inputs.get("photos", ()))
        )
    }


def _identify(digest: str, office: Office, sets: list[SyntheticSet], models: list[TrainedModel]) -> str:
    """The one id that begins with the digest, among all that lies here and all that is on record."""
    if len(digest) < _SHORTEST_PREFIX or set(digest) - set("0123456789abcdef"):
        raise ConfigError(
            f"{digest!r} is no digest: give at least {_SHORTEST_PREFIX} hex digits of a sample id or sha256"
        )
    prefix = digest[:SAMPLE_ID_LENGTH]
    known = {str(asset["sample_id"]) for item in sets for asset in item.assets}
    known |= {str(name) for model in models for name in (model.inputs or {}).get("photos", ())}
    for path in _manifests(office):
        known |= set(manifest.read(path, ["sample_id"])["sample_id"].to_pylist())
    found = sorted(name for name in known if name.startswith(prefix))
    if not found:
        raise DataError(
            f"no dataset here and no run on record names {digest}; is it of another MLflow store or workspace?"
        )
    if len(found) > 1:
        raise ConfigError(f"{len(found)} samples begin with {digest}, such as {found[:3]}; give more digits")
    return found[0]


def _manifests(office: Office) -> Iterator[Path]:
    """Every manifest that lies in the workspace: what came in, what validation made of it, what was made since."""
    workspace, validated = office.workspace, office.workspace.stage("validation")
    named = [workspace.source(source.name) for source in office.workload.sources]
    checked = [folder for folder in sorted(validated.glob("*")) if folder.is_dir() and folder.name != "samples"]
    splits = [folder for folder in sorted(validated.glob("photos/*")) if folder.is_dir()]
    models = [folder / FOLDER for folder in (*named, *checked)]
    for folder in (*named, workspace.replay, *checked, *splits, *models, workspace.stage("synthesis")):
        if any(folder.glob("*.parquet")):
            yield folder


def _look(path: Path, asset: str, workspace: Workspace) -> Finding | None:
    """What a manifest has of an asset; of a synthetic one, all rows where its recipe uses the asset."""
    import pyarrow.compute as pc

    rows = derived = 0
    for batch in manifest.stream(path, ["sample_id", "parents"], batch_rows=8192):
        rows += pc.sum(pc.equal(batch["sample_id"], asset)).as_py() or 0
        derived += pc.sum(pc.equal(pc.list_flatten(batch["parents"]), asset)).as_py() or 0
    recipe = path / "recipe.json"
    assets = read_json(recipe).get("assets", []) if recipe.is_file() else []
    uses = any(item["sample_id"] == asset and item["used"] for item in assets)
    if not (rows or derived or uses):
        return None
    return Finding(path=os.path.relpath(path, workspace.root), rows=rows, derived=derived)


def _tell(
    asset: str, present: list[Finding], sets: list[SyntheticSet], models: list[TrainedModel], office: Office
) -> Answer:
    workspace = office.workspace
    recipes = {item.recipe for item in sets} | _recipes_of(present, workspace)
    touched = descend(models, _touched(models, asset, recipes))
    champions = _champions(office)
    named = [model for model in models if model.digest in touched]
    bentos = {tag: digest for tag, digest in _bentos(workspace).items() if digest in touched}
    unknown = [f"{model.name} version {model.version}" for model in models if model.inputs is None]
    rows = [
        *(("dataset", item.path, f"{item.rows} rows are it, {item.derived} have it as a parent") for item in present),
        *(("synthesised", f"recipe {s.recipe[:12]}", f"{len(s.runs)} runs, the first {s.first_made}") for s in sets),
        *(("model", f"{m.name} version {m.version}", _standing(m, champions)) for m in named),
        *(("Bento", tag, f"serves model {digest[:12]}") for tag, digest in bentos.items()),
    ]
    return Answer(
        value={
            "asset": asset,
            "datasets": [asdict(item) for item in present],
            "past_datasets": [{"recipe": s.recipe, "runs": s.runs, "first_made": s.first_made} for s in sets],
            "models": [
                {"name": m.name, "version": m.version, "digest": m.digest, "champion": champions.get(m.digest)}
                for m in named
            ],
            "bentos": sorted(bentos),
            "unknown_models": unknown,
        },
        tables=[Table(title=f"what {asset} touched", columns=("what", "which", "how"), rows=rows)],
        after=[
            *([_UNKNOWN.format(number=len(unknown), names=", ".join(unknown[:5]))] if unknown else []),
            "to do without it: take it out of its source, `detent run`, and let the new model be approved; what is "
            "served until then is above",
        ],
    )


def _recipes_of(present: list[Finding], workspace: Workspace) -> set[str]:
    """The recipe of the images that lie here, where the asset is one of them."""
    folder = workspace.stage("synthesis")
    here = os.path.relpath(folder, workspace.root)
    if not any(item.path == here and item.rows for item in present):
        return set()
    return {digest_json(read_json(folder / "recipe.json"))}


def _champions(office: Office) -> dict[str, str]:
    """Which models are or were champion, by the journal: "now", or since when."""
    from components.promotion.audit import history

    rows = [row for row in history(office.journal) if row.kind in CHAMPION_KINDS and row.to_model is not None]
    found = {str(row.to_model): f"from {row.time}" for row in rows}
    for key in {row.key for row in rows}:
        champion = office.journal.champion(key)
        if champion is not None:
            found[champion.model] = "now"
    return found


def _standing(model: TrainedModel, champions: dict[str, str]) -> str:
    standing = champions.get(model.digest)
    return f"candidate {model.candidate!r}, {f'champion {standing}' if standing else 'never champion'}"


def _bentos(workspace: Workspace) -> dict[str, str]:
    """The model's digest by the tag of every Bento in the store."""
    from components.packaging.building import NAME
    from components.serving.identity import IDENTITY_FILE, read_identity

    paths = sorted((workspace.bentos / "bentos" / NAME).glob(f"*/src/{IDENTITY_FILE}"))
    root = workspace.bentos / "bentos" / NAME
    return {f"{NAME}:{path.relative_to(root).parts[0]}": read_identity(path).model_digest for path in paths}
