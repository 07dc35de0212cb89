"""What the last release let through: its digests afresh, whether the journal knows it, whether it is champion."""

from __future__ import annotations

from components.promotion.audit import history
from components.promotion.proposals import load_proposal
from components.promotion.rows import Digests
from components.workloads.rails.code import release_code
from components.workloads.rails.records import Winner, read_target_winners, read_winner
from flows.mirrors import current_winner, digests_of
from flows.office import Office


class Proposed:
    """A winner with the digests that an approval of it is bound to, computed once a command.

    No dataclass: Prefect would write all of it down with the flow that it is given to.
    """

    __slots__ = ("digests", "winner")

    def __init__(self, winner: Winner, digests: Digests) -> None:
        self.winner = winner
        self.digests = digests


def proposed(office: Office, number: int) -> Proposed:
    """What lies here now for the key that a proposal is for."""
    with office.journal.reading() as ledger:
        target = load_proposal(ledger, number).key.target
    return digests_now(office, current_winner(office.workspace, target))


def digests_now(office: Office, winner: Winner) -> Proposed:
    """A winner with its digests, computed afresh; IntegrityError when its Decision is about something else."""
    return Proposed(winner, digests_of(winner, office.workspace, office.params, code=release_code(office.code)))


def all_proposed(office: Office) -> bool:
    """Whether the journal knows all that was let through, or there is nothing to propose."""
    winner, targets = read_winner(office.workspace), read_target_winners(office.workspace)
    winners = [*([winner] if winner is not None else []), *targets.values()]
    if not winners:
        return True
    rows = history(office.journal, workload=office.params.workload, catalog=office.params.catalog)
    known = {(row.target, row.decision) for row in rows}
    return all((one.target, one.digest) in known or is_champion(office, one) for one in winners)


def is_champion(office: Office, winner: Winner) -> bool:
    """Whether a winner is what is served by now."""
    champion = office.champion(winner.target)
    return champion is not None and champion.model == winner.decision.digests["candidate"]
