"""What the gate is given, and the self-checks that it must pass before any of it is believed.

Tables on the same samples, of the same data set, from the models that they claim to be from; splits that share
no sample; a model against itself without flips. What fails here is refused with an error, before a look is
charged, and the error speaks of ids and stamps only, never of verdicts on certify.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.core import verdicts
from components.core.digests import digest_json
from components.core.errors import DataError, IntegrityError, LeakError
from components.selection.gate import flips, severities
from components.selection.gate.flips import Rows
from components.selection.gate.groups import with_groups
from components.selection.gate.policy import Policy
from components.selection.ledger.members import SplitMembers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Verdict tables of champion (`old`, None before the first release) and candidate on one split."""

    old: pa.Table | None
    new: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One candidate's case. Digests are sha256 in hex; tables are verdict tables stamped with their model.

    `champion_digest` is what the journal says (None: bootstrap). `anchor_*` are the pinned anchor's verdicts.
    `reseeds` are verdicts on search of the champion's recipe under other seeds. `wrong_labels` are ids on search
    and replay that a person marked. `digests` go into the decision (dataset, code, ...): digests of verdict
    tables on certify must not be among them, since they would tell more than one bit. `shows` are fingerprints of the
    certify pictures by id, `images` the ids of these by sample where a question is about other pictures than the one
    that it is named by, `exposed` the pictures that stand in train or search now, `certify_share` the share of newly
    labelled photos that certify gets, `num_tried` the candidates that search was used to choose among.
    """

    candidate: str
    candidate_digest: str
    champion_digest: str | None
    certify: Pair
    search: Pair | None = None
    replay: Pair | None = None
    anchor_digest: str | None = None
    anchor_certify: pa.Table | None = None
    anchor_search: pa.Table | None = None
    reseeds: tuple[pa.Table, ...] = ()
    wrong_labels: frozenset[str] = frozenset()
    shows: Mapping[str, bytes] = field(default_factory=dict)
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exposed: SplitMembers | None = None
    certify_share: float | None = None
    num_tried: int = 1
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def is_self(self) -> bool:
        """Whether the candidate is the champion: there is nothing to ask then."""
        return self.candidate_digest == self.champion_digest

    def images_of(self, sample_ids: Sequence[str]) -> list[str]:
        """The pictures that certify samples are about, each once."""
        if not self.images:
            return list(sample_ids)
        found = (name for one in sample_ids for name in self.images.get(one, (one,)))
        return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Evidence that passed the self-checks: aligned rows of every split. At a bootstrap old is new.

    `content` is the digest of what certify asks: ids, labels, slices and groups, never verdicts. `num_exposed` samples
    were left out of certify, since they had stood in train or search. Made once a candidate, and kept until its page is
    written.
    """

    evidence: Evidence
    certify: Rows
    search: Rows | None
    replay: Rows | None
    anchor_certify: Rows | None
    anchor_search: Rows | None
    reseeds: tuple[Rows, ...]
    is_bootstrap: bool
    content: str = ""
    num_exposed: int = 0

    @property
    def candidate(self) -> str:
        """The candidate's name."""
        return self.evidence.candidate


def open_case(evidence: Evidence, policy: Policy, *, num_exposed: int = 0) -> Case:
    """Check the evidence and align its tables; DataError, LeakError or IntegrityError say what is wrong."""
    _check_digests(evidence, policy)
    certify = with_groups(_joined(evidence.certify, evidence, "certify split"), policy, name="certify split")
    search, replay = (
        _joined(_without_marked(pair, evidence), evidence, name) if pair else None
        for pair, name in ((evidence.search, "search split"), (evidence.replay, "replay set"))
    )
    if search is not None:
        search = with_groups(search, policy, name="search split")
    _check_marks(evidence, certify)
    if policy.severity.limit is not None:
        severities.need_predictions(certify, policy, name="certify split")
    for other, name in ((search, "search split"), (replay, "replay set")):
        _check_disjoint(certify, other, name)
    return Case(
        evidence=evidence,
        certify=certify,
        search=search,
        replay=replay if replay is not None and len(replay) else None,
        anchor_certify=_against_anchor(evidence, policy, evidence.anchor_certify, evidence.certify, "certify split"),
        anchor_search=_against_anchor(evidence, policy, evidence.anchor_search, evidence.search, "search split"),
        reseeds=tuple(_reseed(table, evidence) for table in evidence.reseeds),
        is_bootstrap=evidence.champion_digest is None,
        content=content_digest(certify),
        num_exposed=num_exposed,
    )


def without(evidence: Evidence, out: NDArray[np.bool_]) -> Evidence:
    """The evidence without some certify samples, given as a mask over the candidate's table as it came."""
    gone = pa.array(evidence.certify.new["sample_id"].cast(pa.string()).filter(pa.array(out)).to_pylist(), pa.string())

    def kept(table: pa.Table | None) -> pa.Table | None:
        if table is None:
            return None
        return table.filter(pc.invert(pc.is_in(table["sample_id"].cast(pa.string()), value_set=gone)))

    new = kept(evidence.certify.new)
    if new is None or not new.num_rows:
        raise LeakError(
            "every certify sample has stood in train or search before, so none can certify; label new photos, then "
            "`detent refresh`"
        )
    certify = Pair(old=kept(evidence.certify.old), new=new)
    return replace(evidence, certify=certify, anchor_certify=kept(evidence.anchor_certify))


def content_digest(rows: Rows) -> str:
    """The digest of what a split asks: ids, labels where they are known, slices and groups; never verdicts."""
    columns = {name: column.cast(pa.string()) for name, column in rows.slices.items()}
    if rows.groups is not None:
        columns["(group)"] = rows.groups.cast(pa.string())
    for table in (rows.new_table, rows.old_table):
        if verdicts.LABEL in table.column_names:
            columns["(label)"] = flips.one_chunk(table[verdicts.LABEL])
    lists = {name: column.to_pylist() for name, column in sorted(columns.items())}
    return digest_json({"ids": rows.ids.to_pylist(), "columns": lists})


def _check_digests(evidence: Evidence, policy: Policy) -> None:
    for pair, name in ((evidence.certify, "certify"), (evidence.search, "search"), (evidence.replay, "replay")):
        if pair is None:
            continue
        if (pair.old is None) != (evidence.champion_digest is None):
            raise DataError(f"{name}: a champion needs its digest and its verdict table; one of them is missing")
        _check_stamp(pair.new, evidence.candidate_digest, policy, f"{name}: candidate")
        if pair.old is not None:
            _check_stamp(pair.old, evidence.champion_digest or "", policy, f"{name}: champion")
            _check_dataset(pair.old, pair.new, name)
    for table, name in ((evidence.anchor_certify, "certify"), (evidence.anchor_search, "search")):
        if table is not None:
            _check_stamp(table, evidence.anchor_digest or "", policy, f"{name}: anchor")


def _check_stamp(table: pa.Table, digest: str, policy: Policy, name: str) -> None:
    found = verdicts.read_stamp(table).model
    if found is None and policy.mode == "sealed":
        raise DataError(f"{name}: the verdict table names no model; stamp it with verdicts.stamp when it is made")
    if found is not None and found != digest:
        raise IntegrityError(
            f"{name}: the verdict table is of model {found[:12]}, expected {digest[:12]}; the champion may have "
            "changed since, evaluate again against the one that the journal names"
        )


def _check_dataset(old: pa.Table, new: pa.Table, name: str) -> None:
    sets = verdicts.read_stamp(old).dataset, verdicts.read_stamp(new).dataset
    if None not in sets and sets[0] != sets[1]:
        raise DataError(
            f"{name}: the tables come from different data sets, {str(sets[0])[:12]} and {str(sets[1])[:12]}; "
            "evaluate both models on one"
        )


def _joined(pair: Pair, evidence: Evidence, name: str) -> Rows:
    rows = flips.join(pair.new if pair.old is None else pair.old, pair.new, name=name)
    if evidence.is_self and (rows.old != rows.new).any():
        raise DataError(f"{name}: a model against itself gives other verdicts; its evaluation is not deterministic")
    return rows


def _without_marked(pair: Pair | None, evidence: Evidence) -> Pair:
    if pair is None:
        raise ValueError("no tables")
    if not evidence.wrong_labels:
        return pair
    marked = pa.array(sorted(evidence.wrong_labels), pa.string())

    def kept(table: pa.Table) -> pa.Table:
        return table.filter(pc.invert(pc.is_in(table["sample_id"].cast(pa.string()), value_set=marked)))

    return Pair(old=None if pair.old is None else kept(pair.old), new=kept(pair.new))


def _check_marks(evidence: Evidence, certify: Rows) -> None:
    marked = evidence.wrong_labels & set(certify.ids.to_pylist())
    if marked:
        raise DataError(
            f"{len(marked)} samples marked as wrongly labelled are of the certify split (first {min(marked)!r}); marks "
            "are for search and replay, certify must not be cleaned by its answers"
        )


def _check_disjoint(certify: Rows, other: Rows | None, name: str) -> None:
    shared = _shared(certify.ids.to_pylist(), other.ids.to_pylist()) if other is not None else []
    if shared:
        raise LeakError(
            f"{len(shared)} samples stand in the certify split and in the {name} (first {shared[0]!r}); split again"
        )


def _shared(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return sorted(set(first) & set(second))


def _against_anchor(
    evidence: Evidence, policy: Policy, anchor: pa.Table | None, pair: Pair | None, name: str
) -> Rows | None:
    if anchor is None or pair is None:
        return None
    against = Pair(old=anchor, new=pair.new)
    _check_dataset(anchor, pair.new, f"{name}, anchor")
    if name != "certify split":
        against = _without_marked(against, evidence)
    where = f"{name} against the anchor"
    return with_groups(flips.join(against.old, against.new, name=where), policy, name=where)


def _reseed(table: pa.Table, evidence: Evidence) -> Rows:
    if evidence.search is None or evidence.search.old is None:
        raise DataError("reseed verdicts need the champion's verdicts on the search split beside them")
    pair = _without_marked(Pair(old=evidence.search.old, new=table), evidence)
    return flips.join(pair.old, pair.new, name="reseeds of the champion on the search split")
