"""Trains the arms of a scenario: scenes at every seed, settings chosen in short trainings, rows over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from components.models.networks.subnets import Space, architecture_of, largest, multiply_adds, num_parameters, smallest
from components.training.config import Recipe
from tests.benchmarks.figures import SHORT
from tests.benchmarks.flips.arms import ENSEMBLE_SEEDS, Arm, Reply, Scene, accuracy, chosen_setting, order_of, reply
from tests.benchmarks.flips.lab import Lab, Order
from tests.benchmarks.flips.rates import Rates, rates
from tests.benchmarks.flips.report import Row, setting_told
from tests.components.models.networks.members import every_member


def scenes(
    lab: Lab,
    space: Space,
    seeds: Sequence[int],
    *,
    data_share: float = 1.0,
    same: bool = False,
    with_ensemble: bool = False,
) -> list[Scene]:
    """Old and untreated new networks at each seed; the part is what room the old one leaves beside it.

    `same` gives the new network the old one's architecture, and `data_share` the old one less data. The ensemble is
    trained where it is wanted alone.
    """
    small, large = (architecture_of(space, member) for member in (smallest(space), largest(space)))
    old_lab = lab if data_share == 1.0 else replace(lab, images=lab.images.with_share(data_share))
    whole, plain = small if same else large, Recipe()
    old = [Order(architecture=small, recipe=plain, seed=500 + seed) for seed in seeds]
    new = [Order(architecture=whole, recipe=plain, seed=seed) for seed in seeds]
    far_seeds = ENSEMBLE_SEEDS if with_ensemble else ()
    ensemble = [Order(architecture=whole, recipe=plain, seed=seed) for seed in far_seeds]
    old_lab.train_all(old)
    lab.train_all([*new, *ensemble])
    return [
        Scene(
            lab=lab,
            seed=seed,
            old=old_lab.train(first),
            untreated=lab.train(second),
            whole=whole,
            part=small if same else _part(space),
            ensemble=tuple(lab.train(order) for order in ensemble),
        )
        for seed, first, second in zip(seeds, old, new, strict=True)
    ]


def tuned_rows(lab: Lab, space: Space, arms: Sequence[Arm], num_seeds: int, **scenario: Any) -> dict[str, Row]:
    """Each arm with the setting that the first seed's search split prefers, over all seeds."""
    found = scenes(lab, space, range(num_seeds), with_ensemble=any(arm.ensemble for arm in arms), **scenario)
    settings = _tuned_settings(found[0], arms)
    lab.train_all(order_of(here, arm, settings[arm.name]) for arm in arms for here in found)
    rows = {}
    for arm in arms:
        replies = [reply(here, arm, settings[arm.name]) for here in found]
        rows[arm.name] = Row(
            name=arm.name,
            found=tuple(final_rates(here, one) for here, one in zip(found, replies, strict=True)),
            core_s=float(np.mean([one.core_s for one in replies])),
            multiply_adds=replies[0].multiply_adds,
            note="; ".join(part for part in (setting_told(settings[arm.name]), arm.note) if part),
        )
    return rows


def _tuned_settings(here: Scene, arms: Sequence[Arm]) -> dict[str, Mapping[str, Any]]:
    """The setting of each arm that the first seed's search split prefers, in whole trainings; the first where SHORT.

    Of a network that answers alone the strongest setting is taken that keeps the accuracy, tried from strong to mild;
    where one answers together with the old network, which can keep any accuracy, all are compared.
    """
    if SHORT:
        return {arm.name: arm.settings[0] for arm in arms}
    together = [arm for arm in arms if arm.answer != "own"]
    pending = [arm for arm in arms if arm.answer == "own"]
    tuned = {arm.name: len(arm.settings) - 1 for arm in arms}
    here.lab.train_all(
        [order_of(here, arm, setting) for arm in together for setting in arm.settings]
        + [order_of(here, arm, arm.settings[-1]) for arm in pending]
    )
    for arm in together:
        tuned[arm.name] = chosen_setting(here, arm, arm.settings)
    while pending:
        strong = [arm for arm in pending if _is_too_strong(here, arm, arm.settings[tuned[arm.name]])]
        pending = [arm for arm in strong if tuned[arm.name]]
        for arm in pending:
            tuned[arm.name] -= 1
        here.lab.train_all(order_of(here, arm, arm.settings[tuned[arm.name]]) for arm in pending)
    return {arm.name: arm.settings[tuned[arm.name]] for arm in arms}


def _is_too_strong(here: Scene, arm: Arm, setting: Mapping[str, Any]) -> bool:
    return accuracy(reply(here, arm, setting).search, here.lab.images.search.labels) < here.floor


def final_rates(here: Scene, one: Reply) -> Rates:
    return rates(here.old.final.argmax(axis=1), one.final, here.lab.images.final.labels)


def _part(space: Space) -> dict[str, Any]:
    """What fits beside the smallest member into the cost of the largest: of the costliest, the most parameters."""
    room = multiply_adds(space, largest(space)) - multiply_adds(space, smallest(space))
    fitting = [member for member in every_member(space) if multiply_adds(space, member) <= room]
    costly = [member for member in fitting if multiply_adds(space, member) >= 0.99 * room]
    usual = max(costly or fitting, key=lambda member: num_parameters(space, member))
    return architecture_of(space, usual)
