"""Sets up the desk at which promotion works: the journal and the two mirrors of its champion."""

from __future__ import annotations

from dataclasses import replace

from components.core.champions import Champion, ChampionKey, Pointer
from components.core.errors import IntegrityError, StateError
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.packaging.building import content_digest, find_bento
from components.packaging.packaging import read_bento
from components.packaging.projection import BentoTag
from components.promotion.anchors import ExtraAnchor, Head
from components.promotion.desk import Desk
from components.promotion.journal import Journal
from components.promotion.notices import notifier_from_environment
from components.promotion.rows import Digests
from components.promotion.signatures import signer_from_environment
from components.selection.gate.gate import policy_digest
from components.tracking.registry import champion_alias, registered_name, set_champion_alias
from components.tracking.runs import Tracker
from components.workloads.rails.params import Params
from components.workloads.rails.records import (
    Winner,
    bento_file,
    check_winner,
    evaluation_digest,
    pinned_digest,
    read_target_winners,
    read_winner,
)

HEAD_TAG = "detent.journal_head"


class ModelAlias:
    """The alias `champion` of the registered model, a target's `champion-TARGET`, as a projection of the journal."""

    name = "mlflow alias"

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def read(self, key: ChampionKey) -> Pointer | None:
        """What the alias shows; None where Detent never set it."""
        shown = champion_alias(self._tracker, registered_name(self._tracker, key.workload, key.catalog), key.target)
        return Pointer(model=shown[0], sequence=shown[1]) if shown is not None else None

    def write(self, champion: Champion) -> None:
        """Point the alias to this champion's version."""
        name = registered_name(self._tracker, champion.workload, champion.catalog)
        set_champion_alias(
            self._tracker, name, digest=champion.model, sequence=champion.sequence, target=champion.target
        )


def open_journal(settings: Settings) -> Journal:
    """The journal that the settings name, signing as the actor if DETENT_SIGNING_KEY is set."""
    journal = Journal.open(settings.journal_address, home=settings.home.resolve())
    journal.signer = signer_from_environment(settings.actor)
    return journal


def paper_desk(journal: Journal) -> Desk:
    """The journal without mirrors, for verbs that move no champion; it needs no MLflow."""
    return Desk(journal=journal, notify=notifier_from_environment())


def full_desk(journal: Journal, tracker: Tracker) -> Desk:
    """The journal with all its projections, its head anchored in MLflow too."""
    projections = (ModelAlias(tracker), BentoTag(journal.home / "bentoml"))
    return replace(paper_desk(journal), projections=projections, extra_anchors=(mlflow_anchor(tracker),))


def mlflow_anchor(tracker: Tracker) -> ExtraAnchor:
    """The journal's head as a tag of the MLflow experiment."""

    def publish(head: Head) -> None:
        tracker.client.set_experiment_tag(tracker.experiment_id, HEAD_TAG, f"{head.sequence}:{head.digest}")

    def read() -> Head | None:
        text = tracker.client.get_experiment(tracker.experiment_id).tags.get(HEAD_TAG)
        if text is None:
            return None
        sequence, _, digest = text.partition(":")
        return Head(sequence=int(sequence), digest=digest)

    return ExtraAnchor(name="MLflow tag", publish=publish, read=read)


def current_winner(workspace: Workspace, target: str = "") -> Winner:
    """What the last release let through, for a target if one is named; StateError when there is none."""
    winner = read_target_winners(workspace).get(target) if target else read_winner(workspace)
    if winner is None:
        raise StateError(
            f"the last release has no winner to promote{f' for {target}' if target else ''}; run `detent run release` "
            "and see its decision"
        )
    return winner


def digests_of(winner: Winner, workspace: Workspace, params: Params, *, code: str) -> Digests:
    """What an approval of this winner is bound to, computed afresh; `code` is the digest of the release's."""
    policy = policy_digest(params.selection.policy)
    check_winner(winner, workspace, policy=policy)
    model = model_digest(winner.model(workspace))
    return Digests(
        model=model,
        evaluation_set=evaluation_digest(workspace),
        policy=policy,
        decision=winner.digest,
        bento=content_digest(find_bento(workspace.bentos, bento_tag(workspace, model=model, target=winner.target))),
        champion=pinned_digest(workspace, winner.target),
        code=code,
    )


def bento_tag(workspace: Workspace, *, model: str, target: str = "") -> str:
    """The tag of the Bento that was packaged of a model; IntegrityError when it is of another, or of none."""
    path = bento_file(workspace, target)
    bento = read_bento(path, bento_home=workspace.bentos) if path.is_file() else None
    if bento is None or bento.model_digest != model:
        raise IntegrityError(
            f"{path} is of model {bento.model_digest[:12] if bento is not None else 'none'}, the winner is "
            f"{model[:12]}: `detent run` packages anew; nothing was proposed or promoted"
        )
    return bento.tag
