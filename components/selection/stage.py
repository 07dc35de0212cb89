"""The selection stage: a release's candidates held against its champion, verdicts on every split, a Decision each.

Pure: what judges a model, where looks are on record and every digest are handed in. Verdicts on the certify split are
made here, handed to the gate and forgotten: they are never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.core import verdicts
from components.core.decisions import WINNER, Decision
from components.core.digests import digest_json
from components.core.errors import DataError
from components.core.files import write_json, write_text
from components.core.samples import SampleSet
from components.core.stages import StageReport
from components.core.workloads import Show, Shown, show_plainly
from components.selection.finalists import (
    ask_against_own,
    ask_finalists,
    serve_targets,
    stem_of,
    title_of,
    told_of,
)
from components.selection.gate.assembly import rows_for
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.gate import bring, decide, decide_all, policy_digest
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Ledger
from components.selection.ledger.members import SplitMembers
from components.selection.report.report import write_report
from components.selection.search.targets import Target

CHAMPION, RESEED = "champion", "reseed"
OpenLedger = Callable[[], AbstractContextManager[Ledger]]
Judge = Callable[[Path, SampleSet], pa.Table]  # a workload's own, with its cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as selection knows it: the folder of its artefact, and the digest that names it."""

    folder: Path
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Who is held against whom, on which questions, and what is known beside the verdicts.

    `own` has the champions of targets that run another than the main one, `record` what training's family was searched
    for (`search.record`). `wrong_labels`, `shows`, `exposed`, `certify_share` and `num_tried` are as in
    `Evidence`; `show` makes a question something that people can look at, `workload` names whose `judge` is wrong
    where it is; `digests` has those of data set and code.
    """

    search: SampleSet
    certify: SampleSet
    replay: SampleSet
    champion: Model | None
    candidates: Mapping[str, Model]
    workload: str = ""
    anchor: Model | None = None
    reseed: Model | None = None
    own: Mapping[str, Model] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    record: Mapping[str, Any] = field(default_factory=lambda: {"targets": {}, "costs": {}})
    wrong_labels: frozenset[str] = frozenset()
    shows: Mapping[str, bytes] = field(default_factory=dict)
    exposed: SplitMembers | None = None
    certify_share: float | None = None
    num_tried: int = 1
    show: Show = show_plainly
    digests: Mapping[str, str] = field(default_factory=dict)


class Verdicts:
    """Verdict tables by model and split: each model is asked the questions of a split once."""

    def __init__(self, judge: Judge, *, workload: str = "") -> None:
        self._judge = judge
        self._by = f" by workload '{workload}'" if workload else ""
        self._made: dict[tuple[str, Path], pa.Table] = {}
        self._asked: dict[Path, pa.Table] = {}
        self._datasets: dict[Path, str] = {}

    def of(self, model: Model, samples: SampleSet) -> pa.Table:
        """What `judge` says of a model, with truth, groups and slices of the samples, checked and stamped."""
        key = model.digest, samples.images
        if key not in self._made:
            asked = self.asked(samples)
            said = complete(self._judge(model.folder, samples), asked, name=f"of model {model.digest[:12]}{self._by}")
            self._made[key] = verdicts.stamp(said, model=model.digest, dataset=self._datasets[samples.images])
        return self._made[key]

    def asked(self, samples: SampleSet) -> pa.Table:
        """The questions of a split, read once."""
        if samples.images not in self._asked:
            self._asked[samples.images] = samples.table()
            self._datasets[samples.images] = _dataset_digest(self._asked[samples.images])
        return self._asked[samples.images]


def complete(said: pa.Table, asked: pa.Table, *, name: str) -> pa.Table:
    """A workload's verdicts with what is the samples' own: the truth, groups and slices; sorted and checked.

    DataError when it is no table of verdicts, when a question has no verdict, or a verdict no question.
    """
    _check_table(said, name)
    ids = said["sample_id"].cast(pa.string())
    order = pc.index_in(asked["sample_id"], value_set=ids)
    if order.null_count or said.num_rows != asked.num_rows:
        missing = asked["sample_id"].filter(pc.is_null(order)).to_pylist()
        strange = ids.filter(pc.invert(pc.is_in(ids, value_set=asked["sample_id"]))).to_pylist()
        raise DataError(
            f"verdict table {name}: {said.num_rows} verdicts on {asked.num_rows} questions, {len(missing)} of which "
            f"have none (first {missing[:1]}), and {len(strange)} verdicts on what was not asked (first "
            f"{strange[:1]}); judge must give each question one verdict"
        )
    rows = said.take(order).select(verdicts.SCHEMA.names)
    columns = {column: rows[column] for column in rows.column_names} | {verdicts.LABEL: asked["truth"]}
    columns |= {column: asked[column] for column in (*verdicts.group_columns(asked), *verdicts.slice_columns(asked))}
    return verdicts.check(pa.table(columns), name=name)


def _check_table(said: object, name: str) -> None:
    wanted = verdicts.SCHEMA.names
    if not isinstance(said, pa.Table):
        raise DataError(
            f"verdict table {name}: judge gave a {type(said).__name__}, expected a pyarrow Table of {wanted}"
        )
    missing = [column for column in wanted if column not in said.column_names]
    if missing:
        raise DataError(f"verdict table {name}: judge gave no columns {missing}, only {said.column_names}")
    if not pa.types.is_string(said["sample_id"].type):
        raise DataError(
            f"verdict table {name}: 'sample_id' is {said['sample_id'].type}, expected text as in the samples"
        )


def decide_release(
    contest: Contest, policy: Policy, *, judge: Judge, open_ledger: OpenLedger, out: Path
) -> StageReport:
    """Decide on every candidate and write decisions, verdicts on search, pages and winner.json to `out`.

    A candidate that is the champion already has nothing to prove, and costs no look. Without certify samples every
    candidate is on hold.
    """
    if not len(contest.certify):
        return _without_photos(contest, out)
    made = Verdicts(judge, workload=contest.workload)
    _keep_search_verdicts(contest, made, out)
    champion = contest.champion
    fresh = [name for name, model in contest.candidates.items() if champion is None or model.digest != champion.digest]
    finalists = {told.get("candidate") for name, told in contest.record["targets"].items() if name not in contest.own}
    rivals = _against_own(contest, policy, made)
    evidences = [_evidence(name, contest, policy, made) for name in fresh]
    with open_ledger() as ledger:
        cases = {evidence.candidate: bring(evidence, policy, ledger=ledger) for evidence in evidences}
        decisions = dict(zip(cases, decide_all([*cases.values()], policy, ledger=ledger), strict=True))
        winner = next((name for name, decision in decisions.items() if decision.outcome == "PROMOTE"), None)
        decisions = ask_finalists([*cases.values()], decisions, policy, ledger=ledger, finalists=finalists)
        against = {target: bring(evidence, policy, ledger=ledger) for target, evidence in rivals.items()}
        decisions |= ask_against_own(against, policy, ledger=ledger)
    cases |= {stem_of(case.candidate, target): case for target, case in against.items()}
    show = _shower(contest)
    for name, decision in decisions.items():
        write_text(out / f"{name}.decision.json", decision.to_json())
        peers = _peers(name, decisions)
        write_report(out / f"{name}.html", decision, rows=rows_for(decision, cases[name]), show=show, peers=peers)
    write_json(out / WINNER, winner_json(winner, decisions))
    own = {name: model.digest for name, model in contest.own.items()}
    served = serve_targets(contest.targets, decisions, contest.record, own=own)
    return _report(decisions, winner, told_of(served, out=out))


def decide_pair(contest: Contest, policy: Policy, *, judge: Judge, open_ledger: OpenLedger, out: Path) -> Decision:
    """Decide whether the one candidate may replace the champion, as one look; DataError without labelled photos."""
    if not len(contest.certify):
        raise DataError("there are no labelled photos to compare on; run a release with --photos first")
    made = Verdicts(judge, workload=contest.workload)
    _keep_search_verdicts(contest, made, out)
    (name,) = contest.candidates
    evidence = _evidence(name, contest, policy, made)
    with open_ledger() as ledger:
        case = bring(evidence, policy, ledger=ledger)
        decision = decide(case, policy, ledger=ledger)
    write_text(out / "decision.json", decision.to_json())
    write_report(out / "report.html", decision, rows=rows_for(decision, case), show=_shower(contest))
    return decision


def winner_json(candidate: str | None, decisions: Mapping[str, Decision]) -> dict[str, Any]:
    """What winner.json holds: the candidate, and the digest of the Decision that lets it through."""
    return {"candidate": candidate, "decision": decisions[candidate].digest if candidate is not None else None}


def _keep_search_verdicts(contest: Contest, made: Verdicts, out: Path) -> None:
    """Write the verdicts of every model on search, for people to study."""
    models = {**contest.candidates, CHAMPION: contest.champion, RESEED: contest.reseed}
    for name, model in models.items():
        if model is not None:
            verdicts.write(out / "verdicts" / f"search-{name}.parquet", made.of(model, contest.search))


def _dataset_digest(asked: pa.Table) -> str:
    pairs = sorted(zip(asked["sample_id"].to_pylist(), asked["truth"].to_pylist(), strict=True))
    return digest_json([list(pair) for pair in pairs])


def _shower(contest: Contest) -> Callable[[str], Shown | None]:
    """Shows a question of the search split by its id, as the workload does; None for an unknown one."""
    read, asked = contest.search.reader(), contest.search.table()
    places = {name: index for index, name in enumerate(asked["sample_id"].to_pylist())}

    def show(sample_id: str) -> Shown | None:
        if sample_id not in places:
            return None
        (row,) = asked.slice(places[sample_id], 1).to_pylist()
        return contest.show(row, read(sample_id))

    return show


def _images(asked: pa.Table) -> dict[str, list[str]]:
    """The images of those questions that are about others than the one that names them."""
    found = zip(asked["sample_id"].to_pylist(), asked["images"].to_pylist(), strict=True)
    return {name: images for name, images in found if images != [name]}


def _evidence(name: str, contest: Contest, policy: Policy, made: Verdicts) -> Evidence:
    candidate, champion, anchor, reseed = contest.candidates[name], contest.champion, contest.anchor, contest.reseed

    def pair(samples: SampleSet) -> Pair:
        old = made.of(champion, samples) if champion is not None else None
        return Pair(old=old, new=made.of(candidate, samples))

    return Evidence(
        candidate=name,
        candidate_digest=candidate.digest,
        champion_digest=champion.digest if champion is not None else None,
        certify=pair(contest.certify),
        search=pair(contest.search),
        replay=pair(contest.replay) if len(contest.replay) else None,
        wrong_labels=contest.wrong_labels,
        anchor_digest=anchor.digest if anchor is not None else None,
        anchor_certify=made.of(anchor, contest.certify) if anchor is not None else None,
        anchor_search=made.of(anchor, contest.search) if anchor is not None else None,
        reseeds=(made.of(reseed, contest.search),) if reseed is not None else (),
        shows=contest.shows,
        images=_images(made.asked(contest.certify)),
        exposed=contest.exposed,
        certify_share=contest.certify_share,
        num_tried=contest.num_tried,
        digests={
            "candidate": candidate.digest,
            "champion": champion.digest if champion is not None else "",
            "policy": policy_digest(policy),
            **contest.digests,
        },
    )


def _against_own(contest: Contest, policy: Policy, made: Verdicts) -> dict[str, Evidence]:
    """The finalists of targets with a champion of their own against that champion, by target; none for itself.

    How far the main champion's recipe differs by seeds says nothing about another champion.
    """
    found = {}
    for target, own in contest.own.items():
        name = contest.record["targets"].get(target, {}).get("candidate")
        if name in contest.candidates and contest.candidates[name].digest != own.digest:
            found[target] = _evidence(name, replace(contest, champion=own, reseed=None), policy, made)
    return found


def _peers(name: str, decisions: Mapping[str, Decision]) -> list[Decision]:
    """The other decisions against the same champion."""
    champion = decisions[name].digests.get("champion")
    return [d for other, d in decisions.items() if other != name and d.digests.get("champion") == champion]


def _report(decisions: dict[str, Decision], winner: str | None, targets: StageReport) -> StageReport:
    facts = {title_of(name): f"{d.outcome}: {' '.join(d.reasons)}" for name, d in decisions.items()}
    metrics: dict[str, float] = {}
    for stem, decision in decisions.items():
        name, counts = title_of(stem), decision.counts
        if counts is not None:
            metrics[f"{name}.search_accuracy"] = counts.new_accuracy
            metrics[f"{name}.search_negative_flip_rate"] = counts.rate_of_all
            metrics[f"{name}.search_negative_flips"] = float(counts.negative_flips)
    files = tuple(f"{name}.{kind}" for name in decisions for kind in ("html", "decision.json"))
    return StageReport(
        metrics={**metrics, **targets.metrics},
        facts={"winner": winner or "none", **facts, **targets.facts},
        pictures=files + targets.pictures,
        children=targets.children,
    )


def _without_photos(contest: Contest, out: Path) -> StageReport:
    """No labelled photos, nothing to certify on: every candidate is on hold."""
    reason = (
        "there are no labelled photos to certify on: give --photos, or `detent refresh` where the split was retired or "
        "shown; synthetic images prove nothing about customers"
    )
    for name in contest.candidates:
        decision = Decision(
            outcome="HOLD", candidate=name, mode="sealed", certified=None, reasons=(reason,), shown_split="none"
        )
        write_text(out / f"{name}.decision.json", decision.to_json())
    write_json(out / WINNER, winner_json(None, {}))
    files = tuple(f"{name}.decision.json" for name in contest.candidates)
    return StageReport(facts={"winner": "none", "reason": reason}, pictures=files)
