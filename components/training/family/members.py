"""The trained family of a release: what its members cost and answer, and how one becomes a candidate of its own.

A genotype is a member and how much of it is let through beside the champion. What it costs and what it answers is
asked of the very network that would be released: with the champion inside where it is held, at the side that it reads,
on this machine. Which genotypes to ask for is the search's affair. The certify split is not among the inputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.core.digests import digest_json
from components.models.artefacts import LoadedModel, ModelSpec
from components.models.classes import match_classes
from components.models.foreign.adapters import Adapted
from components.models.foreign.incumbents import as_inner
from components.models.networks.costs import count_multiply_adds, count_parameters
from components.models.networks.growth import Grown, margins
from components.models.networks.merging import Merged, pool
from components.models.networks.slicing import check_contained
from components.models.networks.subnets import (
    SubnetSpec,
    from_genotype,
    largest,
    multiply_adds,
    num_parameters,
    smallest,
    to_genotype,
)
from components.models.networks.supernets import Supernet, extract
from components.training.candidates import CandidateSummary, keep_candidate
from components.training.config import FamilyConfig, Form, Recipe, Treatment
from components.training.family.supernet import MemberBench
from components.training.latency import measure_latency
from components.training.switching import both_logits
from components.training.training import FAMILY

SHARES, BIASES = (0.0, 0.2, 0.4), (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9)
SWITCHES: dict[Form, dict[str, tuple[float, ...]]] = {
    "merged": {"share": SHARES, "bias": BIASES},  # both 0: the member alone, without the champion and its cost
    "widened": {"threshold": THRESHOLDS},
    "shared": {},
    "apart": {},
}
_TREATMENTS: dict[Form, Treatment] = {"merged": "merged", "widened": "contained", "shared": "plain", "apart": "plain"}
_USUAL = {"share": 0.2, "bias": 1.0, "threshold": 0.3}  # where a search begins
COSTS = ("multiply_adds", "parameters", "latency_ms")
_LATENCY_REPEATS = 15

Gene = int | float | str
Genotype = Mapping[str, Gene]
Logits = NDArray[np.float32]


@dataclass(slots=True, kw_only=True)
class Family:
    """A trained family: genes by name, and for each genotype its costs, its answers and its network.

    `spec` is that of a network at the largest side, its architecture left out; `made_from` is a digest of all that the
    family depends on. `champion_right` says which images [N] of the search split the champion has right, read as it
    reads them: none where there is no champion. Answers are kept, so that asking one member with other switches is
    free.
    """

    form: Form
    supernet: Supernet
    spec: ModelSpec
    made_from: str
    seed: int
    config: FamilyConfig
    champion: LoadedModel | None
    champion_right: NDArray[np.bool_]
    bench: MemberBench
    history: tuple[float, ...]
    _answers: dict[tuple[SubnetSpec, bool], tuple[Logits | None, Logits]] = field(default_factory=dict)
    _costs: dict[tuple[SubnetSpec, bool], dict[str, float]] = field(default_factory=dict)
    _held: Logits | None = None
    _champion: dict[str, float] | None = None

    @property
    def genes(self) -> dict[str, tuple[Gene, ...]]:
        """The choices of each gene: those of the member, then those of the switch."""
        return {**self.supernet.space.genes, **SWITCHES[self.form]}

    def start(self) -> tuple[Genotype, ...]:
        """The genotypes to begin a search with: the smallest and the largest member, by a usual switch."""
        usual = {name: _USUAL[name] for name in SWITCHES[self.form]}
        ends = dict.fromkeys((smallest(self.supernet.space), largest(self.supernet.space)))
        return tuple({**to_genotype(self.supernet.space, member), **usual} for member in ends)

    def cheapest(self) -> Genotype:
        """The smallest member, without the champion where that is possible."""
        switch = {name: choices[0] for name, choices in SWITCHES[self.form].items()}
        return {**to_genotype(self.supernet.space, smallest(self.supernet.space)), **switch}

    def variants(self, genotype: Genotype) -> Iterator[Genotype]:
        """The genotypes of the same network with its switch set otherwise: their answers are known with this one's."""
        switches = SWITCHES[self.form]
        for values in itertools.product(*switches.values()):
            other = {**genotype, **dict(zip(switches, values, strict=True))}
            if self.holds_champion(other) == self.holds_champion(genotype):
                yield other

    def holds_champion(self, genotype: Genotype) -> bool:
        """Whether the champion is part of this genotype's network."""
        return self.form in ("widened", "shared") or (self.form == "merged" and self._asks_champion(genotype))

    def cost(self, genotype: Genotype) -> dict[str, float]:
        """Multiply-adds, parameters and milliseconds for one image, of the network that would be released."""
        key = self._key(genotype)
        if key not in self._costs:
            network, architecture = extract(self.supernet, key[0])
            spec = replace(self.spec, architecture=architecture, size_px=key[0].size_px)
            self._costs[key] = costs_of(*self._released(network, spec, genotype))
        return dict(self._costs[key])

    def counted(self, genotype: Genotype) -> dict[str, float]:
        """The multiply-adds and parameters of `cost`, without making the network; none for what grows around one."""
        if self.form == "widened":
            return {}
        space, member = self.supernet.space, self._member(genotype)
        costs = {
            "multiply_adds": float(multiply_adds(space, member)),
            "parameters": float(num_parameters(space, member)),
        }
        if self.form != "merged" or not self.holds_champion(genotype):
            return costs
        return {name: value + self._champion_counts()[name] for name, value in costs.items()}

    def reached(self, genotype: Genotype) -> tuple[float, float]:
        """Accuracy and negative-flip rate on the search split; nothing flips where there is no champion."""
        right = self.guesses(genotype) == self.bench.images.labels
        return float(np.mean(right)), float(np.mean(self.champion_right & ~right))

    def guesses(self, genotype: Genotype) -> NDArray[np.int64]:
        """The class index of each image [N] of the search split, as the released network gives it."""
        key = self._key(genotype)
        if key not in self._answers:
            self._answers[key] = self._ask(genotype)
        old, new = self._answers[key]
        if old is None:
            return np.asarray(new.argmax(axis=1), np.int64)
        if self.form == "widened":
            kept = margins(torch.from_numpy(old), torch.from_numpy(new)).numpy() <= genotype["threshold"]
            return np.asarray(np.where(kept, old.argmax(axis=1), new.argmax(axis=1)), np.int64)
        share = torch.tensor(float(genotype["share"]))
        pooled = pool(torch.from_numpy(old), torch.from_numpy(new), share).numpy()
        pooled[np.arange(len(pooled)), old.argmax(axis=1)] += np.float32(genotype["bias"])
        return np.asarray(pooled.argmax(axis=1), np.int64)

    def network(self, genotype: Genotype) -> tuple[nn.Module, ModelSpec]:
        """The network of a genotype, with statistics of its own, and its spec.

        IntegrityError unless its member's weights are the slice of the family's largest member, byte for byte, and it
        holds those of the champion, where it is to hold them.
        """
        member, spec = self.bench.member(self.supernet, self._member(genotype))
        check_contained(self.supernet.largest.state_dict(), member.state_dict())
        made, spec = self._released(member, spec, genotype)
        if self.champion is not None and self.holds_champion(genotype):
            _check_held(made, spec, self.champion)
        return made, spec

    def make_candidate(self, name: str, genotype: Genotype, *, out: Path) -> CandidateSummary:
        """Write a genotype's network into `out/NAME` as a candidate like any other."""
        network, spec = self.network(genotype)
        recipe = self._recipe(genotype).model_dump(mode="json")
        origin = {"form": self.form, "genotype": dict(genotype), "made_from": self.made_from}
        tuned = {name: float(genotype[name]) for name in SWITCHES[self.form]}
        held = self.holds_champion(genotype)
        summary = CandidateSummary(
            name=name,
            digest="",
            search_accuracy=self.reached(genotype)[0],
            num_parameters=count_parameters(network),
            epochs_run=len(self.history),
            history=self.history,
            recipe={
                **recipe,
                "treatment": f"family, {self.form}" if held else "plain",
                "widths": list(self._member(genotype).widths),
                "genotype": dict(genotype),
            },
            tuned=tuned,
        )
        card = {"candidate": name, "seed": self.seed, "recipe": recipe, FAMILY: origin}
        made_from = digest_json([self.made_from, dict(genotype), name])
        return keep_candidate(out, network, replace(spec, recipe=card), summary=summary, made_from=made_from)

    def _member(self, genotype: Genotype) -> SubnetSpec:
        genes = {name: genotype[name] for name in self.supernet.space.genes}
        return from_genotype(self.supernet.space, genes)

    def _asks_champion(self, genotype: Genotype) -> bool:
        return float(genotype["share"]) > 0 or float(genotype["bias"]) > 0

    def _champion_counts(self) -> dict[str, float]:
        """What the champion adds beside a member."""
        if self._champion is None:
            assert self.champion is not None
            self._champion = counts_of(as_inner(self.champion, self.spec)[0], self.spec)
        return self._champion

    def _key(self, genotype: Genotype) -> tuple[SubnetSpec, bool]:
        return self._member(genotype), self.holds_champion(genotype)

    def _released(self, network: nn.Module, spec: ModelSpec, genotype: Genotype) -> tuple[nn.Module, ModelSpec]:
        """A member as it would be released, with the champion where it is held."""
        if self.form == "widened":
            assert isinstance(network, Grown)
            network.threshold.fill_(float(genotype["threshold"]))
        if self.form != "merged" or not self.holds_champion(genotype):
            return network, spec
        assert self.champion is not None
        inner, held = as_inner(self.champion, self.spec)
        outer, own = as_inner(LoadedModel(network=network, spec=spec, digest=""), self.spec)
        merged = Merged(inner, outer)
        merged.share.fill_(float(genotype["share"]))
        merged.bias.fill_(float(genotype["bias"]))
        architecture = {"family": "merged", "inner": dict(held), "outer": dict(own)}
        return merged.eval(), replace(self.spec, architecture=architecture)

    def _ask(self, genotype: Genotype) -> tuple[Logits | None, Logits]:
        """The champion's logits on the search split, where the network holds it as a part, and the new part's."""
        network, spec = self._released(*self.bench.member(self.supernet, self._member(genotype)), genotype)
        if isinstance(network, Merged):
            if self._held is None:  # the same beside every member
                self._held = self.bench.logits(network.inner, spec)
            return self._held, self.bench.logits(network.outer, spec)
        if isinstance(network, Grown):
            return both_logits(network, spec, self.bench.images.pixels)
        return None, self.bench.logits(network, spec)

    def _recipe(self, genotype: Genotype) -> Recipe:
        """What trains this very network by itself: the nearest thing to the recipe of a member."""
        member, held = self._member(genotype), self.holds_champion(genotype)
        taught = self.champion is not None
        return Recipe(
            treatment=_TREATMENTS[self.form] if held else "plain",
            use=self.config.use,
            widths=member.widths,
            blocks=member.depths,
            stem_stride=self.config.stem_stride,
            epochs=self.config.epochs,
            learning_rate=self.config.learning_rate,
            distill_weight=self.config.distill_weight if taught else 0.0,
            distill_form=self.config.distill_form,
            flip_limit=self.config.flip_limit if taught else None,
            start=self.config.start if taught else "scratch",
        )


def costs_of(network: nn.Module, spec: ModelSpec) -> dict[str, float]:
    """What one image costs: `multiply_adds` and `parameters` counted, `latency_ms` measured on this machine."""
    return {
        **counts_of(network, spec),
        "latency_ms": 1000 * measure_latency(network, spec.size_px, repeats=_LATENCY_REPEATS),
    }


def counts_of(network: nn.Module, spec: ModelSpec) -> dict[str, float]:
    """What one image costs, `multiply_adds` and `parameters` alone."""
    return {
        "multiply_adds": float(count_multiply_adds(network, spec.size_px)),
        "parameters": float(count_parameters(network)),
    }


def _check_held(network: nn.Module, spec: ModelSpec, champion: LoadedModel) -> None:
    """IntegrityError unless the champion's tensors are in the network, bit by bit."""
    expected = champion.network.state_dict()
    if isinstance(network, Grown):
        inner = network.inner
        if isinstance(inner, Adapted) and inner.state_dict().keys() != expected.keys():
            inner = inner.inner  # behind the adapter to the new model's classes and input
        check_contained(inner.state_dict(), expected, statistics=True)
        return
    match = match_classes(champion.spec.classes, spec.classes)
    check_contained(network.state_dict(), expected, rows=None if match.same else match.new_of_old)
