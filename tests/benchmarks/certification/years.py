"""Two years of weekly releases: a stream of labelled photos, a reserve, and a refresh when power would run short.

A third of the candidates are good (0.4% flips, as accurate), a third are over the limit and seen to be so on search, a
third flip nearly as much as the limit allows and cost looks for nothing. A share of each week's photos is held in
reserve, the others are dealt out, a fifth of them to certify, which grows. When the next look would promote a good
candidate with under 80%, and the reserve is large enough for a fresh split, it becomes the certify split, with a budget
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from components.selection.gate import power
from components.selection.ledger.spending import Account
from tests.benchmarks.certification import shipped
from tests.benchmarks.figures import SHORT, Figure

SEED, WEEKS, PHOTOS, RESERVE, LIVES = 0, 104, 300, 0.3, 6 if SHORT else 30
CERTIFY = 0.2  # of what is dealt out
GOOD, DOUBTFUL = 0.004, 0.045


@dataclass(slots=True)
class Years:
    """What happened in one workspace."""

    good: list[bool] = field(default_factory=list)  # whether each good candidate was promoted, in order
    looks: list[int] = field(default_factory=list)  # at which look of its split each good one was asked
    refreshes: int = 0
    doubtful: int = 0  # promotions of candidates under the limit, but near it


def figures() -> Iterator[Figure]:
    """Shares promoted of the good, by half year and by look."""
    lives = [live(np.random.default_rng([SEED, 59, index])) for index in range(LIVES)]
    quarters = np.array([[np.mean(part) for part in np.array_split(np.array(one.good), 4)] for one in lives])
    looks = np.concatenate([one.looks for one in lives])
    good = np.concatenate([one.good for one in lives])
    shares = quarters.mean(axis=0)
    yield Figure(
        name=f"good candidates promoted in {WEEKS} weekly releases, {PHOTOS} photos a week, worst half year",
        value=float(shares.min()),
        goal="at least 80%",
        met=bool(shares.min() >= 0.8) or (None if SHORT else False),
        seeds=[SEED],
        spread=f"half years {', '.join(f'{share:.0%}' for share in shares)}; {LIVES} workspaces",
    )
    refreshes = [one.refreshes for one in lives]
    yield Figure(
        name="splits refreshed in the two years; each has an error budget of 5% of its own",
        value=float(np.mean(refreshes)),
        spread=f"{min(refreshes)} to {max(refreshes)}; {np.mean([sum(one.good) for one in lives]):.0f} promotions",
    )
    for look in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20):
        here = good[looks == look]
        if len(here) >= 10:
            yield Figure(name=f"good candidates promoted, asked at look {look} of their split", value=here.mean(),
                         spread=f"{len(here)} asked")  # fmt: skip


def live(rng: np.random.Generator) -> Years:
    """One workspace; the first release is the bootstrap and is promoted."""
    found, plan = Years(), shipped.policy().spending
    size, reserve = shipped.N, 0.0
    account = Account.opened(plan)
    account = account.charged(1, account.next_level()).answered(1, True)
    for _ in range(WEEKS):
        reserve += PHOTOS * RESERVE
        size += round(PHOTOS * (1.0 - RESERVE) * CERTIFY)
        account, size, reserve, fresh = _refreshed(account, size, reserve)
        found.refreshes += fresh
        kind = rng.choice(("good", "doubtful", "refused on search"))
        if kind == "refused on search":
            continue
        level = account.next_level()
        rate = GOOD if kind == "good" else DOUBTFUL
        sizes = shipped.sizes(size)
        promoted = level > 0.0 and _promoted(rate, sizes, level, rng)
        if kind == "good":
            found.good.append(promoted)
            found.looks.append(account.num_charged + 1)
        else:
            found.doubtful += promoted
        if level > 0.0:
            number = account.num_charged + 1
            account = account.charged(number, level).answered(number, promoted)
    return found


def _promoted(rate: float, sizes: shipped.Counts, level: float, rng: np.random.Generator) -> bool:
    return bool(shipped.draw(shipped.uniform(rate), sizes, 1, rng).p_values()[0] <= level)


def _refreshed(account: Account, size: int, reserve: float) -> tuple[Account, int, float, bool]:
    """The account and split of this week: a fresh one where the old has lost its power and the reserve suffices."""
    policy = shipped.policy()
    needed = power.fresh_size(policy, account.next_level())
    if needed is not None and needed <= size:
        return account, size, reserve, False
    fresh = Account.opened(policy.spending)
    enough = power.fresh_size(policy, fresh.next_level() * 0.1)
    if enough is None or reserve < enough:
        return account, size, reserve, False
    return fresh, int(reserve), 0.0, True
