"""Turns findings into a Decision: the parts of the case that are shown, counted and told in words.

Everything here reads `shown_rows`: search when sealed, certify after an open look. That one function is the
seal; a sealed decision reads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from components.core.decisions import (
    Budget,
    Check,
    Counts,
    Decision,
    Grouping,
    Look,
    NoiseFloor,
    Outcome,
    Paired,
    Severity,
)
from components.core.digests import digest_json
from components.selection import checks, flips, paired, power, reasons, severities, spending
from components.selection.bounds import Binomial, Rate
from components.selection.checks import Findings
from components.selection.claims import Levels, rate_check
from components.selection.evidence import Case, Evidence, open_case
from components.selection.flips import Rows
from components.selection.ledger import Answer, Question
from components.selection.policy import Policy
from components.selection.samples import GroupedSample, counts_under

Verdict = tuple[Outcome, Answer | None, Budget]


def build(evidence: Evidence, case: Case, policy: Policy, *, findings: Findings, verdict: Verdict) -> Decision:
    """The Decision of one candidate from what may be shown of its case."""
    outcome, answer, budget = verdict
    rows = shown_rows(case, policy, answer)
    compared = rows if rows is not None and not case.is_bootstrap else None
    further = None
    if outcome == "HOLD":
        size = split_size(rows, case, policy, findings=findings, level=next_level(policy, budget))
        further = max(0, size - budget.num_certify) if size is not None else None
    return Decision(
        outcome=outcome,
        candidate=evidence.candidate,
        mode=policy.mode,
        certified=answer.look.promoted if answer is not None else None,
        reasons=reasons.tell(outcome, answer, findings, policy, further),
        shown_split="certify" if rows is case.certify else "search" if rows is not None else "none",
        counts=_counts(rows, policy, case) if rows is not None else None,
        checks=findings.checks,
        slices=findings.slices,
        negative_ids=_ids(compared, policy, negative=True),
        positive_ids=_ids(compared, policy, negative=False),
        marked_ids=tuple(sorted(evidence.wrong_labels)),
        paired=_paired(compared),
        noise_floor=_noise_floor(case, policy),
        severity=_severity(compared, policy),
        grouping=_grouping(compared, policy),
        budget=budget,
        further_samples=further,
        digests=_digests(evidence, policy),
        notes=_notes(case, policy, answer),
    )


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
    reason = f"broken again: {', '.join(lost[:5])}" if lost else ""
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


def slice_values(rows: Rows | None, policy: Policy) -> dict[str, set[str]]:
    """The slice values that search knows of: where certify holds none of one, that slice is empty, not passed."""
    if rows is None:
        return {}
    columns = [column for column in checks.columns_of(rows, policy) if column in rows.slices]
    return {column: set(rows.slices[column].dictionary.to_pylist()) for column in columns}


def _error_rate(rows: Rows, policy: Policy) -> Rate:
    wrong = (rows.new != 1).astype(float)
    if policy.groups is None:
        return Binomial(int(wrong.sum()), len(rows))
    return GroupedSample(rows, flips.tally(rows, []), policy).weighted_rate(wrong)


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


def stated_floor(policy: Policy) -> NoiseFloor | None:
    """The noise floor that the policy states, for where none was measured."""
    return None if policy.noise_floor is None else NoiseFloor(rate=policy.noise_floor, stated=True)


def _noise_floor(case: Case, policy: Policy) -> NoiseFloor | None:
    if not case.reseeds:
        return stated_floor(policy)
    counts = [counts_under(flips.tally(rows, []).total, policy) for rows in case.reseeds]
    flipped, n = sum(part.negative_flips for part in counts), sum(part.n for part in counts)
    return NoiseFloor(rate=flipped / n, count=flipped, n=n, num_reseeds=len(counts))


def _grouping(rows: Rows | None, policy: Policy) -> Grouping | None:
    if rows is None or policy.groups is None:
        return None
    sample = GroupedSample(rows, flips.tally(rows, []), policy)
    counts = counts_under(sample.tally.total, policy)
    n = counts.n if policy.denominator == "all" else counts.n_old_right
    alpha = policy.spending.alpha
    return Grouping(
        column=policy.groups,
        num_groups=sample.num_groups,
        estimand=f"mean over {policy.groups} of the negative-flip rate within it: what a group drawn at random sees",
        upper_of_groups=sample.flip_rate().upper(alpha),
        upper_if_independent=Binomial(counts.negative_flips, n).upper(alpha),
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
    promotions = sum(bool(look.promoted) for look in budget.looks)
    level = spending.look_level(policy.spending, len(budget.looks) + 1, promotions)
    return level if level > 0.0 and budget.left > 0.0 else spending.look_level(policy.spending, 1, 0)


def _digests(evidence: Evidence, policy: Policy) -> dict[str, str]:
    own = {
        "candidate": evidence.candidate_digest,
        "champion": evidence.champion_digest or "",
        "anchor": evidence.anchor_digest or "",
        "policy": digest_json(policy.model_dump(mode="json")),
    }
    return dict(sorted({**evidence.digests, **{name: value for name, value in own.items() if value}}.items()))


def rows_for(decision: Decision, evidence: Evidence, policy: Policy) -> Rows | None:
    """The rows that a decision's report may show; None when there are none or nothing is compared."""
    case = open_case(evidence, policy)
    if case.is_bootstrap or decision.shown_split == "none":
        return None
    return case.certify if decision.shown_split == "certify" else case.search


def second_look_note(policy: Policy) -> str:
    """What an open look costs: the samples, for everybody who has read about them."""
    level = spending.look_level(policy.spending, 2, 0)
    return (
        "a second look at the same samples, by anybody who has seen this one, certifies nothing: they are burned and "
        f"belong in the replay set. Sealed, a second look would have been worth an error level of {level:.3%}"
    )


def _notes(case: Case, policy: Policy, answer: Answer | None) -> tuple[str, ...]:
    floor = _noise_floor(case, policy)
    notes = [second_look_note(policy)] if policy.mode == "open" and answer is not None else []
    if floor is None and not case.is_bootstrap:
        notes.append("no noise floor: neither reseeds of the champion's recipe nor a stated rate were given")
    elif floor is not None and floor.rate >= policy.limit:
        notes.append(
            f"the limit of {policy.limit:.2%} is not above the noise floor of {floor.rate:.2%}: a mere reseed of the "
            "champion would break it"
        )
    if policy.slices.too_small == "pool" and not case.is_bootstrap:
        notes.append(
            f"slices with fewer than {policy.slices.min_n} samples are tested together, per column; alone they are "
            "not enough evidence"
        )
    return tuple(notes)
