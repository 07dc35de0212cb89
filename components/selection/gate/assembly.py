"""Turns findings into a Decision: the parts of the case that are shown, counted and told in words.

Everything here reads `shown_rows`: search when sealed, certify after an open look. That one function is the
seal; a sealed decision reads nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.decisions import (
    Budget,
    Check,
    ColumnScope,
    Counts,
    Decision,
    Grouping,
    Look,
    Missing,
    Outcome,
    Paired,
    Severity,
)
from components.core.digests import digest_json
from components.selection.gate import checks, flips, notes, paired, power, reasons, severities, words
from components.selection.gate.bounds import Binomial, Rate
from components.selection.gate.checks import Findings
from components.selection.gate.claims import Levels, rate_check
from components.selection.gate.evidence import Case, Evidence
from components.selection.gate.flips import Rows
from components.selection.gate.groups import group_column, num_groups
from components.selection.gate.policy import Policy
from components.selection.gate.rates import GroupedSample, counts_under, effective
from components.selection.gate.slicing import scope_of
from components.selection.ledger.ledger import Answer, Question
from components.selection.ledger.spending import Account

Verdict = tuple[Outcome, Answer | None, Budget]


def build(case: Case, policy: Policy, *, findings: Findings, verdict: Verdict) -> Decision:
    """The Decision of one candidate from what may be shown of its case."""
    outcome, answer, budget = verdict
    evidence = case.evidence
    rows = shown_rows(case, policy, answer)
    compared = rows if rows is not None and not case.is_bootstrap else None
    told = _told(case, policy, findings=findings, verdict=verdict)
    return Decision(
        outcome=outcome,
        candidate=evidence.candidate,
        mode=policy.mode,
        certified=answer.look.promoted if answer is not None else None,
        reasons=reasons.tell(outcome, answer, findings, policy, told),
        shown_split="certify" if rows is case.certify else "search" if rows is not None else "none",
        counts=_counts(rows, policy, case) if rows is not None else None,
        checks=findings.checks,
        slices=findings.slices,
        negative_ids=_ids(compared, policy, negative=True),
        positive_ids=_ids(compared, policy, negative=False),
        marked_ids=tuple(sorted(evidence.wrong_labels)),
        paired=_paired(compared),
        noise_floor=notes.noise_floor(case, policy),
        severity=_severity(compared, policy),
        grouping=_grouping(compared, case, policy),
        budget=budget,
        further_samples=told.further,
        photos_to_label=told.photos,
        scope=told.scope,
        missing=told.missing,
        promise=reasons.promise(policy) if outcome == "PROMOTE" else "",
        digests=_digests(evidence, case, policy),
        notes=notes.tell(evidence, case, policy, answer, findings=findings),
    )


def photos_for(further: int | None, evidence: Evidence) -> int | None:
    """The photos to label so that `further` of them come into certify, which gets a share of new ones."""
    if further is None or evidence.certify_share is None:
        return None
    return math.ceil(further / evidence.certify_share)


def missing_critical(case: Case, policy: Policy, level: float) -> tuple[Missing, ...]:
    """The critical slices that certify is too small to prove at this level, even without a flip.

    By sizes alone, whatever the denominator: how many the champion has right is an answer of certify's.
    """
    if case.is_bootstrap or level <= 0.0:
        return ()
    policy = policy.model_copy(update={"denominator": "all"})
    tally = flips.tally(case.certify, columns_for(case, policy), policy.slices.pairs)
    sample = checks.sample_of(checks.with_expected(tally, expected_values(case.search, policy)), policy, case.certify)
    found = []
    for column, values in policy.slices.critical.items():
        known = sample.tally.columns[column].values
        for value in values:
            n = sample.slice_rate(column, np.array([known.index(value)])).n
            needed = power.critical_size(effective(policy.slices.limit_of(column, value), policy), level)
            if needed is not None and n < needed:
                found.append(Missing(column=column, value=value, n=n, needed=needed))
    return tuple(found)


def columns_for(case: Case, policy: Policy) -> list[str]:
    """The slice columns that certify is tested by."""
    return checks.columns_of(case.certify, policy)


def _told(case: Case, policy: Policy, *, findings: Findings, verdict: Verdict) -> reasons.Told:
    """What the reasons need: what certify can test by its sizes, and on HOLD what would decide."""
    outcome, answer, budget = verdict
    evidence = case.evidence
    further, chance = None, policy.min_power
    if outcome == "HOLD":
        advice = _advice(case, policy, findings=findings, answer=answer, budget=budget)
        further, chance = advice.further, advice.chance
    marked = _marked_flips(evidence, policy)
    return reasons.Told(
        scope=_scope(case, policy),
        missing=missing_critical(case, policy, budget.next_level) if outcome == "HOLD" and answer is None else (),
        further=further,
        chance=chance,
        photos=photos_for(further, evidence),
        num_marked=marked[0],
        marked_flips=marked[1],
        is_bootstrap=case.is_bootstrap,
    )


def _advice(case: Case, policy: Policy, *, findings: Findings, answer: Answer | None, budget: Budget) -> power.Advice:
    """What to add to certify so that its next look would promote, given that it said no if it was asked."""
    rows, level = shown_rows(case, policy, answer), next_level(policy, budget)
    if rows is None:
        return power.Advice(further=None, chance=0.0)
    if case.is_bootstrap:
        size = power.bootstrap_size(_error_rate(rows, policy), policy, level)
        further = None if size is None else max(0, size - budget.num_certify)
        return power.Advice(further=further, chance=policy.min_power)
    asked = power.Asked(num=budget.num_certify, level=answer.look.level) if answer is not None else None
    tally = flips.tally(rows, checks.columns_of(rows, policy), policy.slices.pairs)
    advice = power.advise(checks.sample_of(tally, policy, rows), findings, policy, level, asked=asked)
    if asked is not None or advice.further is None:
        return advice
    return replace(advice, further=max(0, advice.further - budget.num_certify))


def _scope(case: Case, policy: Policy) -> tuple[ColumnScope, ...]:
    """By sizes alone; where sizes depend on the champion's answers nothing is said of the sealed split."""
    if case.is_bootstrap or (policy.denominator == "old_right" and policy.mode == "sealed"):
        return ()
    tally = flips.tally(case.certify, columns_for(case, policy), policy.slices.pairs)
    return scope_of(checks.with_expected(tally, expected_values(case.search, policy)).columns, policy)


def _marked_flips(evidence: Evidence, policy: Policy) -> tuple[int, int]:
    """How many samples of search a person marked, and how many of these the candidate flips."""
    if not evidence.wrong_labels or evidence.search is None or evidence.search.old is None:
        return 0, 0
    rows = flips.join(evidence.search.old, evidence.search.new, name="search split")
    marked = pc.is_in(rows.ids, value_set=pa.array(sorted(evidence.wrong_labels), pa.string())).to_numpy(False)
    negative = rows.negative(abstained_is_wrong=policy.abstentions.rule == "wrong")
    return int(marked.sum()), int((marked & negative).sum())


def shown_rows(case: Case, policy: Policy, answer: Answer | None) -> Rows | None:
    """The one split that people may see."""
    return case.certify if policy.mode == "open" and answer is not None else case.search


def single_look(question: Question, policy: Policy, test: Callable[[float], bool]) -> Answer:
    """One open look without a ledger: all of alpha, once."""
    level = policy.spending.alpha
    look = Look(
        number=1,
        candidate=question.candidate,
        champion=question.champion,
        level=level,
        mode=question.mode,
        promoted=test(level),
    )
    return Answer(look=look, recorded=False)


def bootstrap_check(rows: Rows, policy: Policy, levels: Levels) -> Check:
    """The first release has no champion: its accuracy must be proven to be at least the policy's."""
    rate, limit = _error_rate(rows, policy), 1.0 - policy.bootstrap_accuracy
    count = int((rows.new != 1).sum())
    return rate_check("errors of the first model", rate, limit, levels, count=count)


def anchor_check(rows: Rows | None, policy: Policy, levels: Levels) -> Check:
    """The cumulative limit; missing verdicts of the anchor hold a release that has a limit for them."""
    if rows is None:
        reason = "the policy limits flips against a pinned anchor, whose verdicts were not given"
        return Check(
            name="flips against the anchor",
            split=levels.split,
            result="missing",
            limit=policy.anchor_limit,
            reason=reason,
        )
    return checks.examine_anchor(rows, policy, levels)


def replay_checks(case: Case) -> tuple[Check, ...]:
    """Past incidents and burned samples that the champion has right must stay right, every one of them."""
    if case.replay is None or case.is_bootstrap:
        return ()
    lost = case.replay.ids.filter((case.replay.old == 1) & (case.replay.new != 1)).to_pylist()
    right = f"{int((case.replay.old == 1).sum())} of which the champion has right"
    reason = f"{right}; broken again: {', '.join(lost[:5])}" if lost else right
    return (
        Check(
            name="replay set",
            split="replay",
            result="broken" if lost else "holds",
            limit=0.0,
            count=len(lost),
            n=len(case.replay),
            rate=len(lost) / len(case.replay),
            reason=reason,
        ),
    )


def expected_values(rows: Rows | None, policy: Policy) -> dict[str, set[str]]:
    """The slice values that search knows of and those that are critical: where certify holds none, that is seen."""
    known = {} if rows is None else {name: rows.slices[name] for name in checks.columns_of(rows, policy)}
    values = {name: set(column.dictionary.to_pylist()) for name, column in known.items()}
    for name, critical in policy.slices.critical.items():
        values[name] = values.get(name, set()) | set(critical)
    return values


def _error_rate(rows: Rows, policy: Policy) -> Rate:
    wrong = rows.new != 1
    if rows.groups is None:
        return Binomial(int(wrong.sum()), len(rows))
    return GroupedSample(rows, flips.tally(rows, []), policy, rows.groups).share(wrong)


def _counts(rows: Rows, policy: Policy, case: Case) -> Counts:
    counts = counts_under(flips.tally(rows, []).total, policy)
    if not case.is_bootstrap:
        return counts
    return Counts(
        n=counts.n,
        n_old_right=0,
        n_new_right=counts.n_new_right,
        negative_flips=0,
        positive_flips=0,
        old_abstained=0,
        new_abstained=counts.new_abstained,
    )


def _ids(rows: Rows | None, policy: Policy, *, negative: bool) -> tuple[str, ...]:
    if rows is None:
        return ()
    mask = rows.negative(abstained_is_wrong=policy.abstentions.rule == "wrong") if negative else rows.positive()
    return tuple(rows.ids.filter(mask).to_pylist())


def _paired(rows: Rows | None) -> Paired | None:
    if rows is None:
        return None
    gained, lost, both = flips.discordant(flips.tally(rows, []).total)
    return paired.report(gained, lost, both, len(rows))


def _severity(rows: Rows | None, policy: Policy) -> Severity | None:
    return severities.report(rows, policy) if rows is not None else None


def _grouping(rows: Rows | None, case: Case, policy: Policy) -> Grouping | None:
    if rows is None or rows.groups is None:
        return None
    sample = GroupedSample(rows, flips.tally(rows, []), policy, rows.groups)
    counts = counts_under(sample.tally.total, policy)
    n = counts.n if policy.denominator == "all" else counts.n_old_right
    alpha = policy.spending.alpha
    column = words.column(group_column(policy))
    return Grouping(
        column=column,
        num_groups=num_groups(rows),
        estimand=f"mean over {column} of the negative-flip rate within it: what a group drawn at random sees",
        upper_of_groups=sample.flip_rate().upper(alpha),
        upper_if_independent=Binomial(counts.negative_flips, n).upper(alpha),
        num_samples=len(rows),
        certify_samples=len(case.certify),
        certify_groups=num_groups(case.certify),
    )


def split_size(rows: Rows | None, case: Case, policy: Policy, *, findings: Findings, level: float) -> int | None:
    """The size of a certify split (about) that would decide, from the rates of `rows`; None where none would."""
    if rows is None:
        return None
    if case.is_bootstrap:
        return power.bootstrap_size(_error_rate(rows, policy), policy, level)
    tally = flips.tally(rows, checks.columns_of(rows, policy), policy.slices.pairs)
    return power.split_size(checks.sample_of(tally, policy, rows), findings, policy, level)


def next_level(policy: Policy, budget: Budget) -> float:
    """The level of the next look, of a fresh split's first where this one has none left."""
    if policy.mode == "open":
        return policy.spending.alpha
    return budget.next_level if budget.next_level > 0.0 else Account.opened(policy.spending).next_level()


def _digests(evidence: Evidence, case: Case, policy: Policy) -> dict[str, str]:
    own = {
        "certify": case.content,
        "candidate": evidence.candidate_digest,
        "champion": evidence.champion_digest or "",
        "anchor": evidence.anchor_digest or "",
        "policy": digest_json(policy.model_dump(mode="json")),
    }
    return dict(sorted({**evidence.digests, **{name: value for name, value in own.items() if value}}.items()))


def rows_for(decision: Decision, case: Case) -> Rows | None:
    """The rows that a decision's report may show; None when there are none or nothing is compared."""
    if case.is_bootstrap or decision.shown_split == "none":
        return None
    return case.certify if decision.shown_split == "certify" else case.search
