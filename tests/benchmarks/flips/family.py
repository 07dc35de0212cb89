"""The family and its search, beside peers that cost the same and beside training members by themselves.

The family starts as the old network's function; its smallest member has that one's shape. A genotype is a member and
how its answer is merged with the old network's; what it costs to ask counts both. Outcomes are those on the first
images of the search split; the final split is asked only of what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from components.core.digests import digest_json
from components.core.files import read_json, write_json
from components.models.networks.inheriting import inherit
from components.models.networks.subnets import (
    Space,
    SubnetSpec,
    architecture_of,
    from_genes,
    largest,
    multiply_adds,
    num_parameters,
)
from components.models.networks.supernets import Supernet, extract, load_supernet, save_supernet
from components.models.prediction import predict_logits
from components.selection.search.frontier import Outcome
from components.selection.search.genotypes import Genotype, SearchSpace
from components.selection.search.search import SearchPlan, SearchProblem, SearchResult, search
from components.training.config import Recipe
from components.training.family.supernet import MemberBench, SandwichLoss, calibration_images
from components.training.fitting import fit
from components.training.latency import measure_latency
from tests.benchmarks.flips.arms import Reply, merge
from tests.benchmarks.flips.lab import CoreClock, Lab, Order, Trained, treated_loss
from tests.benchmarks.flips.rates import Rates, rates

NUM_ESTIMATED = 1_500  # images of the search split that tell a member's outcome while searching
SHARES, BIASES = (0.0, 0.2, 0.4), (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


@dataclass(slots=True, kw_only=True)
class Family:
    """A trained supernet, where it came from and what it cost; members' logits are kept while searching."""

    lab: Lab
    space: Space
    supernet: Supernet
    old: Trained
    digest: str
    core_s: float
    bench: MemberBench
    _logits: dict[SubnetSpec, NDArray[np.float32]] = field(default_factory=dict)
    _latency_ms: dict[SubnetSpec, float] = field(default_factory=dict)

    def problem(self, limits: Mapping[str, float]) -> SearchProblem:
        """The family as a search sees it."""
        return SearchProblem(
            space=_search_space(self.space),
            cost=self.cost,
            evaluate=self.evaluate,
            made_from=self.digest,
            limits=limits,
            variants=self.variants,
            counted=self.counted,
        )

    def cost(self, genotype: Genotype) -> dict[str, float]:
        """What the member costs, with the old network where that is asked too."""
        return {**self.counted(genotype), "latency_ms": self.latency_ms(self.member(genotype))}

    def counted(self, genotype: Genotype) -> dict[str, float]:
        """The same but for what is measured."""
        member, asked = self.member(genotype), _asks_old(genotype)
        return {
            "multiply_adds": multiply_adds(self.space, member) + self.old.multiply_adds * asked,
            "parameters": num_parameters(self.space, member) + self.old.num_parameters * asked,
        }

    def variants(self, genotype: Genotype) -> list[Genotype]:
        """The same member merged otherwise, which needs no network to be asked again."""
        merges = [{"share": share, "bias": bias} for share in SHARES for bias in BIASES]
        others = [{**genotype, **merge} for merge in merges]
        return [other for other in others if _asks_old(other) == _asks_old(genotype)]

    def latency_ms(self, member: SubnetSpec) -> float:
        """Of the member alone, measured."""
        if member not in self._latency_ms:
            network, _ = extract(self.supernet, member)
            self._latency_ms[member] = 1000 * measure_latency(network, member.size_px, repeats=15)
        return self._latency_ms[member]

    def evaluate(self, genotype: Genotype) -> Outcome:
        """Accuracy and flips on the first images of the search split."""
        member = self.member(genotype)
        if member not in self._logits:
            self._logits[member] = self.bench.logits(*self.bench.member(self.supernet, member))
        num = len(self.bench.images)
        guesses = _merged(self.old.search[:num], self._logits[member], genotype)
        found = rates(self.old.search[:num].argmax(axis=1), guesses, self.bench.images.labels)
        return Outcome(accuracy=found.accuracy, flips=found.flips)

    def member(self, genotype: Genotype) -> SubnetSpec:
        """The sub-network of a genotype."""
        return from_genes(self.space, [int(genotype[f"gene_{index}"]) for index in range(len(self.space.choices))])

    def final_rates(self, genotype: Genotype) -> Rates:
        """What a genotype reaches on the final split."""
        return rates(self.old.final.argmax(axis=1), self.final_reply(genotype).final, self.lab.images.final.labels)

    def final_reply(self, genotype: Genotype) -> Reply:
        """A genotype's answers on both splits."""
        network, spec = self.bench.member(self.supernet, self.member(genotype))
        search, final = (
            predict_logits(network, spec, part.pixels) for part in (self.lab.images.search, self.lab.images.final)
        )
        return Reply(
            search=_merged(self.old.search, search, genotype),
            final=_merged(self.old.final, final, genotype),
            core_s=self.core_s,
            multiply_adds=int(self.cost(genotype)["multiply_adds"]),
            tuned={"share": float(genotype["share"]), "bias": float(genotype["bias"])},
        )

    def alone(self, members: Sequence[SubnetSpec], *, seed: int) -> list[Trained]:
        """The same members trained by themselves."""
        orders = [
            Order(architecture=architecture_of(self.space, member), recipe=Recipe(), seed=seed) for member in members
        ]
        self.lab.train_all(orders)
        return [self.lab.train(order) for order in orders]


def train_family(lab: Lab, space: Space, old: Trained, *, recipe: Recipe, seed: int) -> Family:
    """Train a family around the old network, or take it from an earlier run.

    It starts as the old network's function; the smallest member has its shape.
    """
    made_from = [lab.images.digest, lab.epochs, space.to_json(), old.digest, recipe.model_dump(mode="json")]
    made_from += [seed, *lab.arithmetic]
    digest = digest_json(made_from)
    folder = lab.home / f"family-{digest[:24]}"
    spec = lab.spec(architecture_of(space, largest(space)))
    if not (folder / "row.json").is_file():
        _fit_family(lab, space, old, recipe=recipe, seed=seed, folder=folder)
    supernet, _ = load_supernet(folder / "model")
    few = np.arange(len(lab.images.search)) < NUM_ESTIMATED
    bench = MemberBench(
        spec=spec, calibration=calibration_images(lab.data(), spec), images=lab.images.search.where(few)
    )
    return Family(
        lab=lab,
        space=space,
        supernet=supernet,
        old=old,
        digest=digest,
        core_s=read_json(folder / "row.json")["core_s"],
        bench=bench,
    )


def searched(family: Family, plan: SearchPlan, limits: Mapping[str, float]) -> tuple[SearchResult, float]:
    """A search of the family and the core seconds of its rows; methods and seeds share one table."""
    result = search(family.problem(limits), plan, table=_table(family))
    return result, sum(row.seconds for row in (*result.evaluated, *result.over_limit))


def _table(family: Family) -> Path:
    return family.lab.home / f"search-{family.digest[:24]}.jsonl"


def _fit_family(lab: Lab, space: Space, old: Trained, *, recipe: Recipe, seed: int, folder: Path) -> None:
    torch.manual_seed(seed)
    supernet = Supernet(space)
    spec = lab.spec(architecture_of(space, largest(space)))
    network, old_spec = old.network()
    inherit(supernet.largest, spec, old=network, old_spec=old_spec)
    clock, checkpoint = CoreClock(folder.with_suffix(".seconds.json")), folder.with_suffix(".fit")
    fit(
        supernet,
        lab.data(),
        spec,
        options=lab.options(seed),
        loss=SandwichLoss(space=space, first=treated_loss(recipe, spec, champion=old, ensemble=())),
        score=clock.tick,  # the last epoch is taken, as for every other network of the table
        checkpoint=checkpoint,
    )
    save_supernet(folder / "model", supernet, spec)
    write_json(folder / "row.json", {"core_s": clock.seconds})
    checkpoint.unlink()
    clock.forget()
    lab.say(f"  trained the family, seed {seed}: {clock.seconds:.0f} core s")


def _search_space(space: Space) -> SearchSpace:
    genes: dict[str, tuple[int | float | str, ...]] = {
        f"gene_{index}": tuple(range(len(choices))) for index, choices in enumerate(space.choices)
    }
    return SearchSpace(genes={**genes, "share": SHARES, "bias": BIASES})


def _asks_old(genotype: Genotype) -> bool:
    return float(genotype["share"]) > 0 or float(genotype["bias"]) > 0


def _merged(old: NDArray[np.float32], new: NDArray[np.float32], genotype: Genotype) -> NDArray[np.int64]:
    return merge(old, new, share=float(genotype["share"]), bias=float(genotype["bias"]))
