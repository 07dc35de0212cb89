"""What stands below the reasons: how the photos were counted, what a figure cannot tell, what a look cost."""

from __future__ import annotations

from components.core.decisions import NoiseFloor
from components.selection.gate import flips, words
from components.selection.gate.bounds import Binomial
from components.selection.gate.checks import Findings
from components.selection.gate.evidence import Case, Evidence
from components.selection.gate.flips import Rows
from components.selection.gate.groups import num_groups
from components.selection.gate.policy import Policy
from components.selection.gate.rates import counts_under
from components.selection.ledger.ledger import LookAnswer
from components.selection.ledger.spending import Account


def tell(
    evidence: Evidence, case: Case, policy: Policy, answer: LookAnswer | None, *, findings: Findings
) -> tuple[str, ...]:
    """The notes of one decision."""
    told = [_about_groups(case.certify, policy)]
    if policy.mode == "open" and answer is not None:
        told.append(second_look(policy))
    if not case.is_bootstrap:
        told += [*_about_floor(case, policy), *_about_small(policy, findings), *_about_search(evidence, case, policy)]
    if policy.label_noise:
        told.append(
            f"{words.share(policy.label_noise)} of the labels may be wrong by the policy's word, so every limit is "
            f"tested at {words.share(1.0 - policy.label_noise)} of it"
        )
    return tuple(told)


def second_look(policy: Policy) -> str:
    """What an open look costs: the samples, for everybody who has read about them."""
    plan = policy.spending
    opened = Account.opened(plan)
    level = opened.charged(1, opened.next_level()).answered(1, False).next_level()
    return (
        "a second look at the same samples, by anybody who has seen this one, certifies nothing: they are burned and "
        f"belong in the replay set. Sealed, a second look would have been worth an error level of {words.odds(level)}"
    )


def stated_floor(policy: Policy) -> NoiseFloor | None:
    """The noise floor that the policy states, for where none was measured."""
    return None if policy.noise_floor is None else NoiseFloor(rate=policy.noise_floor, stated=True)


def noise_floor(case: Case, policy: Policy) -> NoiseFloor | None:
    """How often reseeds of the champion's recipe flip answers, measured or stated."""
    if not case.reseeds:
        return stated_floor(policy)
    counts = [counts_under(flips.tally(rows, []).total, policy) for rows in case.reseeds]
    flipped, n = sum(part.negative_flips for part in counts), sum(part.n for part in counts)
    return NoiseFloor(rate=flipped / n, count=flipped, n=n, num_reseeds=len(counts))


def _about_groups(certify: Rows, policy: Policy) -> str:
    samples = words.count(len(certify), "photo")
    if certify.groups is not None:
        return f"certify: {samples} in {words.count(num_groups(certify), 'group')}, tested by group"
    if policy.groups == "none":
        return f"certify: {samples}, taken as independent by the policy's word"
    return f"certify: {samples} in {words.count(len(certify), 'group')}: no two are known to belong together"


def _about_floor(case: Case, policy: Policy) -> list[str]:
    floor = noise_floor(case, policy)
    if floor is None:
        return ["no noise floor: neither reseeds of the champion's recipe nor a stated rate were given"]
    if floor.rate < policy.limit:
        return []
    return [
        f"the limit of {policy.limit:.2%} is not above the noise floor of {floor.rate:.2%}: a mere reseed of the "
        "champion would break it"
    ]


def _about_small(policy: Policy, findings: Findings) -> list[str]:
    if policy.slices.too_small != "pool" or not any(not row.alone for row in findings.slices):
        return []
    return [
        f"slices with fewer than {policy.slices.min_n} samples are tested together, per column; alone they are not "
        "enough evidence to be called safe, and hold the release where they are proven broken"
    ]


def _about_search(evidence: Evidence, case: Case, policy: Policy) -> list[str]:
    """The bounds on search are those of one candidate; the best of several was chosen by the same photos."""
    if case.search is None or evidence.num_tried < 2 or policy.mode == "open":
        return []
    counts = counts_under(flips.tally(case.search, []).total, policy)
    n = counts.n if policy.denominator == "all" else counts.n_old_right
    honest = Binomial(counts.negative_flips, n).upper(policy.spending.alpha / evidence.num_tried)
    return [
        f"search helped to choose among {words.count(evidence.num_tried, 'candidate')}, so bounds on its photos are "
        f"optimistic; one that is honest for so many puts negative flips under {honest:.2%}"
    ]
