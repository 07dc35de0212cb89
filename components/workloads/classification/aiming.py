"""Where a model errs, and what synthesis should make more of: verdicts and factors in, regions and aims out.

Search verdicts and what is asked of search are read by default; the certify split is refused, since aims learned from
it would be one more look at it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core import manifest, verdicts
from components.core.errors import ConfigError, DataError, RefusedError, StateError
from components.core.files import write_text
from components.core.params import parse_section, read_params
from components.core.samples import one_an_image
from components.core.workspace import Workspace
from components.selection.comparison import read_table
from components.selection.regions.error_regions import RegionReport, RegionTest
from components.selection.regions.region_tree import CLASS, Condition, ErrorTable
from components.selection.review.marks import read_marks
from components.selection.stage import CHAMPION, RESEED
from components.synthesis.picture.aims import WORD_FACTORS, Aim
from components.workloads.classification.params import ClassificationParams
from components.workloads.rails.records import read_winner

_AIMABLE = WORD_FACTORS.values()
_NO_WORD = "{} is a factor in words that the generator cannot be narrowed to; it stays as it was"
_MOST_AIMS, _MOST_SHARED = 3, 0.5  # aims whose regions share more than half of their samples would double up


@dataclass(frozen=True, eq=False)
class Evidence:
    """What went wrong, ready to be searched: the table, the kind of error, and where it was read from."""

    table: ErrorTable
    kind: str
    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one generator made: its classes, the least and greatest of each number, the words that can be aimed at."""

    classes: frozenset[str]
    numbers: Mapping[str, tuple[float, float]]
    words: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_evidence(
    workspace: Workspace, *, verdict_file: Path | None, folder: Path | None, against: str | None
) -> Evidence:
    """Join verdicts with factors and classes of their samples, by default the last release's on search.

    Without `against` an error is a verdict that is not right; with it (a verdict table, or `champion`), a negative
    flip, and only samples that the old model had right are counted. Samples whose label is marked as wrong are left
    out. StateError before the first release, DataError for tables that do not fit, RefusedError for certify.
    """
    path = verdict_file or default_verdicts(workspace)
    table = _verdict_table(path)
    _refuse_certify(workspace, table)
    kind, kept = "errors", np.ones(table.num_rows, bool)
    notes: list[str] = []
    if against is not None:
        old = _verdict_table(_champion_verdicts(workspace) if against == CHAMPION else Path(against))
        if old["sample_id"].to_pylist() != table["sample_id"].to_pylist():
            raise DataError(f"{against} and {path} hold verdicts on different samples; judge both on the same ones")
        kind, kept = "negative flips", old["verdict"].to_numpy() == verdicts.RIGHT
    marked = np.isin(table["sample_id"].to_numpy(zero_copy_only=False), sorted(read_marks(workspace.marks)))
    if (kept & marked).any():
        notes.append(f"{int((kept & marked).sum())} samples are left out: their labels are marked as wrong.")
    table = table.filter(pa.array(kept & ~marked))
    rows = _sample_rows(workspace, folder, table, required=verdict_file is None)
    if rows is None:
        notes.append("No manifest holds these samples, so only the slices (s_*) of the verdict table are searched.")
    return Evidence(table=error_table(table, rows), kind=kind, source=str(path), notes=tuple(notes))


def default_verdicts(workspace: Workspace) -> Path:
    """The search verdicts of the last release's winner, or else of its most accurate candidate."""
    folder = workspace.stage("selection") / "verdicts"
    found = {path.stem.removeprefix("search-"): path for path in sorted(folder.glob("search-*.parquet"))}
    winner = read_winner(workspace)
    if winner is not None and winner.candidate in found:
        return found[winner.candidate]
    candidates = [path for name, path in found.items() if name not in (CHAMPION, RESEED)]
    if not candidates:
        raise StateError(
            f"no verdicts at {folder}: `detent run release` with labelled photos makes them, or name a table with "
            "--verdicts"
        )
    return max(candidates, key=_accuracy)


def error_table(table: pa.Table, rows: pa.Table | None) -> ErrorTable:
    """Verdicts with factors and truths of samples (same ids, any order), or with their own slices where None."""
    numbers: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    words = {name[2:]: _words(table[name]) for name in verdicts.slice_columns(table)}
    groups = np.arange(table.num_rows, dtype=np.int64)
    if rows is not None:
        order = pc.index_in(table["sample_id"], value_set=rows["sample_id"])
        rows = rows.take(order)
        for name in [name for name in rows.column_names if name.startswith("f_")]:
            words.pop(name[2:], None)
            if _is_number(rows[name].type):
                numbers[name[2:]] = _numbers(rows[name])
            else:
                words[name[2:]] = _words(rows[name])
        words[CLASS] = _words(rows["truth"])
        groups = _groups(rows)
    wrong = np.asarray(table["verdict"].to_numpy() != verdicts.RIGHT, dtype=bool)
    return ErrorTable(wrong=wrong, numbers=numbers, words=words, groups=groups)


def aims_for(
    report: RegionReport, table: ErrorTable, drawn: Sequence[Drawn], *, share: float
) -> tuple[tuple[Aim, ...], tuple[str, ...]]:
    """The named regions as aims that take `share` of all images together, and what could not be aimed at, in words.

    `drawn` is what each generator can make; empty where nobody knows. Shares are as the errors that a region has in
    excess. ConfigError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ConfigError(f"the share of aimed images must lie in (0, 1], got {share:g}")
    notes: list[str] = []
    chosen: list[tuple[RegionTest, Aim]] = []
    for test in sorted(report.named, key=lambda test: test.p):
        if len(chosen) == _MOST_AIMS or any(_shared(test, other, table) > _MOST_SHARED for other, _ in chosen):
            continue
        aim, missing = _aim(test, table, drawn)
        notes += [f"{test.region.text()}: {text}" for text in missing]
        if aim is not None:
            chosen.append((test, aim))
    weights = [max(test.excess, 1.0) for test, _ in chosen]
    shares = [math.floor(1000 * share * weight / sum(weights)) / 1000 for weight in weights]
    aims = [aim.model_copy(update={"share": part}) for (_, aim), part in zip(chosen, shares, strict=True) if part]
    return tuple(aims), tuple(dict.fromkeys(notes))


def drawn_factors(folder: Path) -> tuple[Drawn, ...]:
    """What each generator (by the column `source`) made of a manifest; empty where there is none."""
    if not any(folder.glob("*.parquet")):
        return ()
    schema = manifest.dataset(folder).schema
    names = [field.name for field in schema if field.name.startswith("f_")]
    table = manifest.read(folder, ["label", "source", *names])
    sources = pc.fill_null(table["source"], "")
    found = sorted(pc.unique(sources).to_pylist())
    return tuple(_drawn(table.filter(pc.equal(sources, source)), source) for source in found)


def _drawn(table: pa.Table, source: str) -> Drawn:
    numbers = [name for name in table.column_names if name.startswith("f_") and _is_number(table[name].type)]
    bounds = {name[2:]: pc.min_max(table[name]).as_py() for name in numbers}
    worded = [name for name in WORD_FACTORS.get(source, ()) if f"f_{name}" in table.column_names]
    return Drawn(
        classes=frozenset(table["label"].to_pylist()),
        numbers={name: (float(b["min"]), float(b["max"])) for name, b in bounds.items() if b["min"] is not None},
        words={name: frozenset(pc.unique(table[f"f_{name}"]).drop_null().to_pylist()) for name in worded},
    )


def write_aims(params: Path, aims: Sequence[Aim]) -> None:
    """Set `synthesis.aims` in params.yaml; the other values, their order and the comments stay as they are.

    ConfigError when the file would not be valid afterwards; then it is left alone.
    """
    from ruamel.yaml import YAML

    raw = read_params(params)
    plain = [_plain(aim) for aim in aims]
    parse_section(
        ClassificationParams, {**raw, "synthesis": {**(raw.get("synthesis") or {}), "aims": plain}}, where=params.name
    )
    write_text(params, _with_aims(params.read_text(encoding="utf-8"), plain, YAML()))


def _with_aims(text: str, aims: list[dict[str, Any]], yaml: Any) -> str:
    yaml.preserve_quotes, yaml.width = True, 4096
    document = yaml.load(text)
    if document.get("synthesis") is None:
        document["synthesis"] = {}
    document["synthesis"]["aims"] = [_on_one_line(aim) for aim in aims]
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    return buffer.getvalue()


def _on_one_line(aim: dict[str, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    line = CommentedMap(aim)
    line.fa.set_flow_style()
    return line


def _plain(aim: Aim) -> dict[str, Any]:
    """An aim as plain YAML values, defaults left out."""
    return {name: part for name, part in aim.model_dump(mode="json").items() if part}


def _verdict_table(path: Path) -> pa.Table:
    return verdicts.check(read_table(path), name=str(path))


def _refuse_certify(workspace: Workspace, table: pa.Table) -> None:
    sealed = workspace.samples("certify")
    if not any(sealed.images.glob("*.parquet")):
        return
    if pc.any(pc.is_in(table["sample_id"], value_set=sealed.table(["sample_id"])["sample_id"])).as_py():
        raise RefusedError("these are verdicts on the certify split, which only the gate reads; take those on search")


def _champion_verdicts(workspace: Workspace) -> Path:
    path = workspace.stage("selection") / "verdicts" / f"search-{CHAMPION}.parquet"
    if not path.is_file():
        raise StateError("the last release had no champion to compare with; name the old verdict table instead")
    return path


def _accuracy(path: Path) -> float:
    table = verdicts.read(path)
    return float(np.mean(table["verdict"].to_numpy() == verdicts.RIGHT)) if table.num_rows else 0.0


def _sample_rows(workspace: Workspace, folder: Path | None, table: pa.Table, *, required: bool) -> pa.Table | None:
    """The questions that these verdicts answer, by default of search; None where those are others."""
    asked = workspace.samples("search")
    if folder is None and not any(asked.images.glob("*.parquet")) and not required:
        return None
    rows = one_an_image(folder) if folder is not None else asked.table()
    rows = rows.filter(pc.is_in(rows["sample_id"], value_set=table["sample_id"]))
    missing = table.num_rows - len(pc.unique(rows["sample_id"]))
    if missing and folder is None and not required:
        return None
    if missing:
        raise DataError(
            f"{missing} of {table.num_rows} judged samples are not in the manifest {folder or asked.images}; name the "
            "manifest that the verdicts were taken on with --manifest"
        )
    return rows


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _words(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.object_]]:
    return np.array(column.cast(pa.string()).to_pylist(), dtype=object)


def _groups(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One code a group; samples without a group are groups of their own."""
    own = pc.binary_join_element_wise("alone", rows["sample_id"], "/")
    named = pc.binary_join_element_wise("group", rows["group"], "/")
    codes = pc.coalesce(named, own).combine_chunks().dictionary_encode().indices
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)


def _aim(test: RegionTest, table: ErrorTable, drawn: Sequence[Drawn]) -> tuple[Aim | None, list[str]]:
    """A region as an aim with all of the share, and what of it had to be left out.

    All of an aim's factors must be drawn by one generator, so the one that can draw the most of them is meant.
    """
    classes = next((c.words for c in test.region.conditions if c.factor == CLASS), ())
    ranges = {c.factor: _bounds(c, table) for c in test.region.conditions if not c.words}
    words = {c.factor: c.words for c in test.region.conditions if c.words and c.factor != CLASS}
    showing = [generator for generator in drawn if not classes or generator.classes.intersection(classes)]
    if drawn and not showing:
        return None, [f"no generator shows {' or '.join(classes)}"]
    reasons = [
        {name: _out_of_reach(name, bounds, d) for name, bounds in ranges.items()}
        | {name: _unsaid(name, meant, d) for name, meant in words.items()}
        for d in showing
    ]
    if not drawn:
        reasons = [{name: _NO_WORD.format(name) for name in words if not any(name in known for known in _AIMABLE)}]
    fewest = min(reasons, key=lambda found: sum(reason is not None for reason in found.values()))
    kept = {name: bounds for name, bounds in ranges.items() if fewest.get(name) is None}
    said = {name: meant for name, meant in words.items() if fewest.get(name) is None}
    missing = [reason for reason in fewest.values() if reason is not None]
    if not classes and not kept and not said:
        return None, [*missing, "nothing of it can be aimed at"]
    return Aim(share=1.0, classes=classes, ranges=kept, words=said), missing


def _bounds(condition: Condition, table: ErrorTable) -> tuple[float, float]:
    """A condition as a closed range; an open side ends with the samples that were judged."""
    values = table.numbers[condition.factor]
    low = float(np.nanmin(values)) if condition.low is None else condition.low
    high = float(np.nanmax(values)) if condition.high is None else condition.high
    return float(f"{low:.4g}"), float(f"{high:.4g}")


def _out_of_reach(factor: str, bounds: tuple[float, float], drawn: Drawn) -> str | None:
    if factor not in drawn.numbers:
        return f"the generator draws no number {factor}; it stays as it was"
    low, high = drawn.numbers[factor]
    if bounds[0] > high or bounds[1] < low:
        return (
            f"{factor} {bounds[0]:g} to {bounds[1]:g} lies outside what is made ({low:g} to {high:g}); widen that first"
        )
    return None


def _unsaid(factor: str, words: tuple[str, ...], drawn: Drawn) -> str | None:
    if factor not in drawn.words:
        return _NO_WORD.format(factor)
    if not drawn.words[factor].intersection(words):
        made = " or ".join(sorted(drawn.words[factor]))
        return f"{factor} {' or '.join(words)} is not made (only {made}); let it be made first"
    return None


def _shared(one: RegionTest, other: RegionTest, table: ErrorTable) -> float:
    """Of the smaller region's samples, the share that lies in the larger."""
    first, second = one.region.holds(table), other.region.holds(table)
    return float((first & second).sum() / max(1, min(first.sum(), second.sum())))
