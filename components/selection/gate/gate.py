"""The certified gate: PROMOTE when every limit is proven to hold on a split that nobody has learned from.

Sealed (default): the certify split answers one bit, promoted or not; HOLD or REJECT, reasons, rates, slices and
galleries are those of the search split, and what is refused there already costs no look. Open: certify is shown
whole and burned. Every look is charged by the ledger before it is answered. README.md has the theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from components.core.decisions import Budget, Decision, Look, Outcome
from components.core.digests import digest_json
from components.core.errors import StateError
from components.selection.gate import assembly, checks, flips, reasons
from components.selection.gate.bounds import most_flips
from components.selection.gate.checks import Findings
from components.selection.gate.claims import Levels
from components.selection.gate.evidence import Case, Evidence, open_case, without
from components.selection.gate.groups import num_groups
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Answer, Ledger, Question, Standing
from components.selection.ledger.members import SplitMembers
from components.selection.ledger.spending import Account

_NO_LEDGER = "a sealed look needs a ledger; name one, or set selection.policy.mode to open"


def bring(evidence: Evidence, policy: Policy, *, ledger: Ledger | None) -> Case:
    """The case of one candidate, of which certify samples that ever stood in train or search are left out.

    Who stands there now is put on record. Raises what the self-checks raise: DataError, LeakError, IntegrityError.
    """
    evidence, num_exposed = _without_exposed(evidence, ledger)
    return open_case(evidence, policy, num_exposed=num_exposed)


def decide(brought: Evidence | Case, policy: Policy, *, ledger: Ledger | None) -> Decision:
    """Decide on one candidate, at the price of at most one look at the certify split.

    Who needs its rows afterwards brings the case first (`bring`), and gives that in place of the evidence. `ledger` may
    be None in open mode only: one look at a split that nobody looks at again. A budget used up is a HOLD that says how
    many samples a fresh split needs. Raises what the self-checks raise (DataError, LeakError, IntegrityError) and, from
    the ledger, StateError for another spending plan and IntegrityError for tampering.
    """
    if ledger is None and policy.mode == "sealed":
        raise StateError(_NO_LEDGER)
    case = brought if isinstance(brought, Case) else bring(brought, policy, ledger=ledger)
    asked = _Asked(case, policy, ledger)
    refused = asked.refusal()
    if refused is not None:
        return asked.told(*refused)
    if case.evidence.is_self and ledger is not None:
        return asked.itself()
    answer = asked.look()
    if isinstance(answer, str):
        return _closed(asked, why=answer)
    findings = shown_findings(case, policy, answer)
    decision = asked.told(_outcome(answer, findings, policy), findings, answer)
    if policy.mode == "open" and ledger is not None and ledger.burns:
        return replace(decision, burned_ids=tuple(case.certify.ids.to_pylist()))
    return decision


def decide_all(brought: Sequence[Evidence | Case], policy: Policy, *, ledger: Ledger | None) -> list[Decision]:
    """Decide on all candidates of a release, best on search first; returns decisions in the order given.

    Candidates are ranked on search alone: those that hold every limit there first, those proven broken last, the
    more accurate before the less. They are asked in that order until one is promoted (in open mode: until one was
    asked), each look charged; the rest is unasked, HOLD or REJECT as search says.
    """
    if ledger is None and policy.mode == "sealed":
        raise StateError(_NO_LEDGER)
    cases = [one if isinstance(one, Case) else bring(one, policy, ledger=ledger) for one in brought]
    decisions: dict[int, Decision] = {}
    closed_by: str | None = None
    for index in sorted(range(len(cases)), key=lambda i: _rank(cases[i], policy)):
        if closed_by is not None:
            decisions[index] = _unasked(cases[index], policy, ledger, closed_by)
            continue
        decisions[index] = decide(cases[index], policy, ledger=ledger)
        asked = decisions[index].certified is not None
        if decisions[index].outcome == "PROMOTE" or (asked and policy.mode == "open"):
            closed_by = cases[index].candidate
    return [decisions[index] for index in range(len(cases))]


def shown_findings(case: Case, policy: Policy, answer: Answer | None) -> Findings:
    """What people may see: everything on search when sealed, on certify once an open look was paid for."""
    alpha = policy.spending.alpha
    if policy.mode == "open" and answer is not None:
        found = _examine(case, policy, Levels(split="certify", hold=answer.look.level, broken=alpha))
    elif case.search is not None:
        found = _examine(case, policy, Levels(split="search", hold=alpha, broken=alpha))
    else:
        found = Findings(checks=())
    return replace(found, checks=(*found.checks, *assembly.replay_checks(case)))


def question_key(evidence: Evidence, policy: Policy, content: str) -> str:
    """What makes two looks the same: candidate, champion, anchor, the whole policy, and what certify asks."""
    models = [evidence.candidate_digest, evidence.champion_digest, evidence.anchor_digest]
    return digest_json([*models, policy_digest(policy), content])


def policy_digest(policy: Policy) -> str:
    """The digest of a policy, defaults included."""
    return digest_json(policy.model_dump(mode="json"))


class _Asked:
    """One candidate at the gate: what it may be told from, and how the ledger stands before and after."""

    def __init__(self, case: Case, policy: Policy, ledger: Ledger | None) -> None:
        self.evidence, self.case, self.policy, self.ledger = case.evidence, case, policy, ledger
        images = self.evidence.images_of(case.certify.ids.to_pylist())
        self.members = SplitMembers.of(images, self.evidence.shows)
        self.before = self._standing()

    def refusal(self) -> tuple[Outcome, Findings] | None:
        """What search and replay refuse already is not asked of certify, nor what certify is too small to prove."""
        findings = shown_findings(self.case, self.policy, None)
        if findings.broken():
            return "REJECT", findings
        blocking = {"missing", "unlabelled"}
        results = {*(check.result for check in findings.checks), *(row.result for row in findings.slices)}
        level = self.policy.spending.alpha if self.before is None else self.before.next_level
        if results & blocking or findings.lost() or assembly.missing_critical(self.case, self.policy, level):
            return "HOLD", findings
        return None

    def look(self) -> Answer | str:
        """Ask certify, charged; a string where no look can be had."""
        case, policy, evidence = self.case, self.policy, self.evidence
        if not case.is_bootstrap:  # what the policy slices by must be there before a look is charged
            flips.tally(case.certify, assembly.columns_for(case, policy), policy.slices.pairs)

        def test(level: float) -> bool:
            levels = Levels(split="certify", hold=level, broken=policy.spending.alpha)
            return _examine(case, policy, levels).passed(policy)

        question = Question(
            key=question_key(evidence, policy, case.content),
            candidate=evidence.candidate_digest,
            champion=evidence.champion_digest or "",
            mode=policy.mode,
            content=case.content,
        )
        if self.ledger is None:
            return assembly.single_look(question, policy, test)
        return self.ledger.ask(question, self.members, policy.spending, test)

    def itself(self) -> Decision:
        """The candidate is the champion: nothing is asked, and of a sealed split nothing is shown."""
        answer = None
        if self.policy.mode == "open" and self.ledger is not None and not self.ledger.burns:
            question = Question(key="", candidate=self.evidence.candidate_digest, champion="", mode="open")
            answer = assembly.single_look(question, self.policy, lambda _: True)
        outcome: Outcome = "HOLD" if self.policy.improvement.rule == "improve" else "PROMOTE"
        findings = shown_findings(self.case, self.policy, answer)
        told = self.told(outcome, findings, answer, first=reasons.ITSELF)
        return replace(told, certified=None, promise="", budget=self._budget(None))

    def told(self, outcome: Outcome, findings: Findings, answer: Answer | None = None, *, first: str = "") -> Decision:
        """The decision; `first` stands in place of the reason that no look was taken."""
        verdict = (outcome, answer, self._budget(answer))
        decision = assembly.build(self.case, self.policy, findings=findings, verdict=verdict)
        told = (first, *decision.reasons[1:]) if first else decision.reasons
        change = self.before.change if self.before is not None else None
        return replace(decision, reasons=told, change=change, num_exposed=self.case.num_exposed)

    def _standing(self) -> Standing | None:
        if self.ledger is None:
            return None
        return self.ledger.standing(self.members, self.policy.spending, self.case.content)

    def _budget(self, answer: Answer | None) -> Budget:
        plan, standing = self.policy.spending, self._standing()
        if standing is None:
            looks: tuple[Look, ...] = (answer.look,) if answer is not None else ()
            account = Account.opened(plan)
            next_level, left = (0.0, 0.0) if looks else (account.next_level(), account.left)
        else:
            looks, next_level = standing.looks, standing.next_level
            left = standing.account.left if next_level > 0.0 else 0.0
        n = num_groups(self.case.certify)
        limit = self.policy.limit * (1.0 - self.policy.label_noise)
        return Budget(
            alpha=plan.alpha,
            spent=plan.alpha - left,
            left=left,
            planned_looks=plan.planned_looks,
            num_certify=len(self.case.certify),
            level=answer.look.level if answer is not None else None,
            look=answer.look.number if answer is not None else None,
            recorded=answer.recorded if answer is not None else False,
            looks=looks,
            next_level=next_level,
            next_flips=most_flips(n, limit, next_level) if next_level > 0.0 else -1,
            num_groups=n if self.case.certify.groups is not None else 0,
        )


def _without_exposed(evidence: Evidence, ledger: Ledger | None) -> tuple[Evidence, int]:
    """Leave out of certify what has ever stood in train or search, by id or by what it shows; remember who does now.

    A question goes with any of its pictures.
    """
    if ledger is None:
        return evidence, 0
    if evidence.exposed is not None:
        ledger.expose(evidence.exposed)
    has_ids = "sample_id" in evidence.certify.new.column_names
    ids = [str(name) for name in evidence.certify.new["sample_id"].to_pylist()] if has_ids else []
    images = evidence.images_of(ids)
    out = ledger.recognise(images, evidence.shows)
    if evidence.images:
        known = {name for name, is_known in zip(images, out, strict=True) if is_known}
        out = np.array([not known.isdisjoint(evidence.images_of([name])) for name in ids], dtype=bool)
    return (without(evidence, out), int(out.sum())) if out.any() else (evidence, 0)


def _examine(case: Case, policy: Policy, levels: Levels) -> Findings:
    rows = case.certify if levels.split == "certify" else case.search
    if rows is None:
        raise ValueError(f"no rows of the {levels.split} split")
    if case.is_bootstrap:
        return Findings(checks=(assembly.bootstrap_check(rows, policy, levels),))
    expected = assembly.expected_values(case.search, policy) if levels.split == "certify" else None
    findings = checks.examine_rows(rows, policy, levels, expected=expected)
    if policy.anchor_limit is None:
        return findings
    anchored = case.anchor_certify if levels.split == "certify" else case.anchor_search
    anchor = assembly.anchor_check(anchored, policy, levels)
    return replace(findings, checks=(*findings.checks, anchor))


def _outcome(answer: Answer, findings: Findings, policy: Policy) -> Outcome:
    if answer.look.promoted:
        return "PROMOTE"
    return "REJECT" if policy.mode == "open" and findings.broken() else "HOLD"


def _rank(case: Case, policy: Policy) -> tuple[bool, bool, float, str]:
    findings = shown_findings(case, policy, None)
    right = float((case.search.new == 1).mean()) if case.search is not None else 0.0
    return bool(findings.broken()), not findings.passed(policy), -right, case.candidate


def _closed(asked: _Asked, *, why: str) -> Decision:
    """No look can be had at this split any more: HOLD, with the size of the fresh split that is needed."""
    case, policy = asked.case, asked.policy
    findings = shown_findings(case, policy, None)
    decision = asked.told("HOLD", findings)
    level = Account.opened(policy.spending).next_level()
    size = assembly.split_size(case.search, case, policy, findings=findings, level=level)
    needed = f"about {size} labelled samples" if size is not None else "a number that the rates on search do not tell"
    reason = f"{why}; draw a fresh split of {needed}, which no earlier split held: `detent refresh`"
    photos = assembly.photos_for(size, asked.evidence)
    return replace(decision, reasons=(reason, *decision.reasons[1:-1]), further_samples=size, photos_to_label=photos)


def _unasked(case: Case, policy: Policy, ledger: Ledger | None, winner: str) -> Decision:
    findings = shown_findings(case, policy, None)
    outcome: Outcome = "REJECT" if findings.broken() else "HOLD"
    note = (
        f"{winner} was asked first and {'promoted' if policy.mode == 'sealed' else 'shown'}, which ends this release: "
        "certify was not asked about this candidate, and no look was spent on it"
    )
    return _Asked(case, policy, ledger).told(outcome, findings, first=note)
