"""The certified gate: PROMOTE when every limit is proven to hold on a split that nobody has learned from.

Sealed (default): the certify split answers one bit, promoted or not; HOLD or REJECT, reasons, rates, slices and
galleries are those of the search split, and what is refused there already costs no look. Open: certify is shown
whole and burned. Every look is charged by the ledger before it is answered. README.md has the theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from components.core.decisions import Budget, Decision, Outcome
from components.core.digests import digest_json
from components.core.errors import StateError
from components.selection import assembly, checks, spending
from components.selection.checks import Findings
from components.selection.claims import Levels
from components.selection.evidence import Case, Evidence, open_case
from components.selection.ledger import Answer, Ledger, Question
from components.selection.members import SplitMembers
from components.selection.policy import Policy


def decide(evidence: Evidence, policy: Policy, *, ledger: Ledger | None) -> Decision:
    """Decide on one candidate, at the price of at most one look at the certify split.

    `ledger` may be None in open mode only: one look at a split that nobody looks at again. A budget used up is a
    HOLD that says how many samples a fresh split needs. Raises what the self-checks raise (DataError, LeakError,
    IntegrityError) and, from the ledger, StateError for another spending plan and IntegrityError for tampering.
    """
    if ledger is None and policy.mode == "sealed":
        raise StateError("a sealed look needs a ledger; name one, or set selection.policy.mode to open")
    case = open_case(evidence, policy)
    refused = _refusal_without_a_look(case, policy)
    if refused is not None:
        untouched = _budget(case, policy, ledger, None)
        return assembly.build(evidence, case, policy, findings=refused[1], verdict=(refused[0], None, untouched))
    answer = _look(evidence, case, policy, ledger)
    if isinstance(answer, str):
        return _closed(evidence, case, policy, ledger=ledger, why=answer)
    findings = shown_findings(case, policy, answer)
    verdict = (_outcome(answer, findings, policy), answer, _budget(case, policy, ledger, answer))
    decision = assembly.build(evidence, case, policy, findings=findings, verdict=verdict)
    if policy.mode == "open" and ledger is not None:
        return replace(decision, burned_ids=tuple(case.certify.ids.to_pylist()))
    return decision


def decide_all(evidences: Sequence[Evidence], policy: Policy, *, ledger: Ledger | None) -> list[Decision]:
    """Decide on all candidates of a release, best on search first; returns decisions in the order given.

    Candidates are ranked on search alone: those that hold every limit there first, those proven broken last, the
    more accurate before the less. They are asked in that order until one is promoted (in open mode: until one was
    asked), each look charged; the rest is unasked, HOLD or REJECT as search says.
    """
    decisions: dict[int, Decision] = {}
    closed_by: str | None = None
    for index in sorted(range(len(evidences)), key=lambda i: _rank(evidences[i], policy)):
        evidence = evidences[index]
        if closed_by is not None:
            decisions[index] = _unasked(evidence, policy, ledger, closed_by)
            continue
        decisions[index] = decide(evidence, policy, ledger=ledger)
        asked = decisions[index].certified is not None
        if decisions[index].outcome == "PROMOTE" or (asked and policy.mode == "open"):
            closed_by = evidence.candidate
    return [decisions[index] for index in range(len(evidences))]


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


def question_key(evidence: Evidence, policy: Policy) -> str:
    """What makes two looks the same: candidate, champion, anchor and the whole policy."""
    models = [evidence.candidate_digest, evidence.champion_digest, evidence.anchor_digest]
    return digest_json([*models, policy_digest(policy)])


def policy_digest(policy: Policy) -> str:
    """The digest of a policy, defaults included."""
    return digest_json(policy.model_dump(mode="json"))


def _refusal_without_a_look(case: Case, policy: Policy) -> tuple[Outcome, Findings] | None:
    """What search and replay refuse already is not asked of certify."""
    findings = shown_findings(case, policy, None)
    if findings.broken():
        return "REJECT", findings
    blocking = {"missing", "unlabelled"}
    results = {*(check.result for check in findings.checks), *(row.result for row in findings.slices)}
    if results & blocking:
        return "HOLD", findings
    return None


def _look(evidence: Evidence, case: Case, policy: Policy, ledger: Ledger | None) -> Answer | str:
    def test(level: float) -> bool:
        return _examine(case, policy, Levels(split="certify", hold=level, broken=level)).passed(policy)

    champion = evidence.champion_digest or ""
    question = Question(
        key=question_key(evidence, policy),
        candidate=evidence.candidate_digest,
        champion=champion,
        mode=policy.mode,
    )
    if ledger is None:
        return assembly.single_look(question, policy, test)
    return ledger.ask(question, case.certify.ids.to_pylist(), policy.spending, test)


def _examine(case: Case, policy: Policy, levels: Levels) -> Findings:
    rows = case.certify if levels.split == "certify" else case.search
    if rows is None:
        raise ValueError(f"no rows of the {levels.split} split")
    if case.is_bootstrap:
        return Findings(checks=(assembly.bootstrap_check(rows, policy, levels),))
    expected = assembly.slice_values(case.search, policy) if levels.split == "certify" else None
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


def _budget(case: Case, policy: Policy, ledger: Ledger | None, answer: Answer | None) -> Budget:
    plan = policy.spending
    looks = ledger.looks() if ledger is not None else ((answer.look,) if answer is not None else ())
    spent = spending.spent(plan, len(looks))
    if any(look.mode == "open" for look in looks):
        spent = plan.alpha
    return Budget(
        alpha=plan.alpha,
        spent=spent,
        left=max(0.0, plan.alpha - spent),
        planned_looks=plan.planned_looks,
        num_certify=len(SplitMembers.of(case.certify.ids.to_pylist())),
        level=answer.look.level if answer is not None else None,
        recorded=answer.recorded if answer is not None else False,
        looks=looks,
    )


def _rank(evidence: Evidence, policy: Policy) -> tuple[bool, bool, float, str]:
    case = open_case(evidence, policy)
    findings = shown_findings(case, policy, None)
    right = float((case.search.new == 1).mean()) if case.search is not None else 0.0
    return bool(findings.broken()), not findings.passed(policy), -right, evidence.candidate


def _closed(evidence: Evidence, case: Case, policy: Policy, *, ledger: Ledger | None, why: str) -> Decision:
    """No look can be had at this split any more: HOLD, with the size of the fresh split that is needed."""
    findings = shown_findings(case, policy, None)
    decision = assembly.build(
        evidence, case, policy, findings=findings, verdict=("HOLD", None, _budget(case, policy, ledger, None))
    )
    level = spending.look_level(policy.spending, 1, 0)
    size = assembly.split_size(case.search, case, policy, findings=findings, level=level)
    needed = f"about {size} labelled samples" if size is not None else "a number that the rates on search do not tell"
    reason = f"{why}; draw a fresh split of {needed}, which no earlier split held"
    return replace(decision, reasons=(reason, *decision.reasons[1:-1]), further_samples=size)


def _unasked(evidence: Evidence, policy: Policy, ledger: Ledger | None, winner: str) -> Decision:
    case = open_case(evidence, policy)
    findings = shown_findings(case, policy, None)
    outcome: Outcome = "REJECT" if findings.broken() else "HOLD"
    decision = assembly.build(
        evidence, case, policy, findings=findings, verdict=(outcome, None, _budget(case, policy, ledger, None))
    )
    note = f"not asked of the certify split: {winner} was asked first and closed this release"
    return replace(decision, reasons=(note, *decision.reasons[1:]))
