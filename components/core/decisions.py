"""The Decision: what the gate answers, with every figure that a person needs to sign it or to argue with it.

Schema-versioned JSON that round-trips. Under a sealed policy nothing here but `certified` comes from the
verdicts on the certify split: checks, slices, counts and ids are those of the search split (`shown_split` says
which), and what is said of certify (`scope`, `change`, sizes) follows from which photos it holds. No time stamp
and no path, so equal evidence gives equal bytes, and an approval can be bound to its digest. Decisions of the
first schema are still read.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from components.core.digests import digest_bytes
from components.core.errors import DataError
from components.core.files import read_json, write_text

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
Outcome = Literal["PROMOTE", "HOLD", "REJECT"]
CheckResult = Literal["holds", "broken", "undecided", "too small", "unlabelled", "missing"]
Mode = Literal["sealed", "open"]
WINNER, TARGETS = "winner.json", "targets.json"  # what a selection names beside its Decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim of the policy on the shown split: its limit, what was counted, the exact bounds, the result."""

    name: str
    split: str
    result: CheckResult
    limit: float | None = None
    count: int | None = None
    n: int | None = None
    rate: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCheck:
    """One slice of the shown split: n samples, k negative flips, bounds on its rate, limit and result.

    `alone` tells whether it is a claim of its own; a slice too small for that can still be proven broken. `p_over` is
    the chance of so many flips or more if its rate were at the limit: the smaller, the stronger the evidence of harm.
    """

    column: str
    value: str
    n: int
    n_old_right: int
    negative_flips: int
    positive_flips: int
    rate: float | None
    lower: float | None
    upper: float | None
    limit: float
    result: CheckResult
    p_over: float | None = None
    alone: bool = True
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Raw counts of the shown split; every rate is derived from them."""

    n: int
    n_old_right: int
    n_new_right: int
    negative_flips: int
    positive_flips: int
    old_abstained: int
    new_abstained: int

    @property
    def rate_of_all(self) -> float:
        """Negative flips over all samples."""
        return self.negative_flips / self.n

    @property
    def rate_of_old_right(self) -> float | None:
        """Negative flips over the samples that the champion had right; None when it had none right."""
        return self.negative_flips / self.n_old_right if self.n_old_right else None

    @property
    def new_accuracy(self) -> float:
        """The candidate's share of right answers."""
        return self.n_new_right / self.n

    @property
    def old_accuracy(self) -> float:
        """The champion's share of right answers."""
        return self.n_old_right / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """How often reseeds of the champion's own recipe flip answers; `stated` when not measured here."""

    rate: float
    count: int | None = None
    n: int | None = None
    num_reseeds: int = 0
    stated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Paired statistics that are reported and never gated on; intervals are of accuracy new minus old."""

    difference: float
    mcnemar_exact: float
    mcnemar_mid_p: float
    newcombe: tuple[float, float]
    tango: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """Negative flips weighted by class or confusion: the weighted sum over n, and the heaviest confusions."""

    weighted_rate: float
    heaviest: tuple[tuple[str, int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Photos that belong together: how many groups, and the bound on group means beside the one without groups.

    `certify_samples` and `certify_groups` are the sizes of the sealed split, 0 where they are not known.
    """

    column: str
    num_groups: int
    estimand: str
    upper_of_groups: float
    upper_if_independent: float
    num_samples: int = 0
    certify_samples: int = 0
    certify_groups: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnScope:
    """What one slice column was tested for on certify, from its sizes alone.

    `num_alone` of `num_values` values are claims of their own, `num_small` are too small for that and are tested
    `together` or not at all; a small value of fewer than `lost_below` samples could be lost whole, unseen.
    """

    column: str
    num_values: int
    num_alone: int
    num_small: int
    together: bool
    lost_below: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitChange:
    """How the certify split differs from the one that the last look asked: samples that went, came, changed."""

    removed: int = 0
    added: int = 0
    changed: bool = False  # a label, slice value or group of a sample that stayed is another


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A critical slice that certify cannot prove: the samples that it holds and that it needs (about)."""

    column: str
    value: str
    n: int
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One row of the budget: which look, whose, at which level, and the one bit it gave (None: no answer yet)."""

    number: int
    candidate: str
    champion: str
    level: float
    mode: Mode
    promoted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The error budget of the certify split after this decision; `level` is None when no look was taken.

    `next_level` is what the next look tests at (0: none is left), `next_flips` the most negative flips of
    `num_certify` samples that it lets pass, or of `num_groups` where there are groups; -1: not even none.
    """

    alpha: float
    spent: float
    left: float
    planned_looks: int
    num_certify: int
    level: float | None = None
    look: int | None = None
    recorded: bool = False
    looks: tuple[Look, ...] = ()
    next_level: float = 0.0
    next_flips: int = -1
    num_groups: int = 0  # of certify, where its samples are tested by group


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """PROMOTE, HOLD or REJECT, with its reasons; see the module's docstring for what is where from."""

    outcome: Outcome
    candidate: str
    mode: Mode
    certified: bool | None
    reasons: tuple[str, ...]
    shown_split: str
    counts: Counts | None = None
    checks: tuple[Check, ...] = ()
    slices: tuple[SliceCheck, ...] = ()
    negative_ids: tuple[str, ...] = ()
    positive_ids: tuple[str, ...] = ()
    marked_ids: tuple[str, ...] = ()
    burned_ids: tuple[str, ...] = ()
    paired: Paired | None = None
    noise_floor: NoiseFloor | None = None
    severity: Severity | None = None
    grouping: Grouping | None = None
    budget: Budget | None = None
    further_samples: int | None = None  # in the certify split
    photos_to_label: int | None = None  # of which the certify split gets its share
    scope: tuple[ColumnScope, ...] = ()
    change: SplitChange | None = None
    missing: tuple[Missing, ...] = ()
    num_exposed: int = 0  # samples that stood in train or search once, and do not count
    promise: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The decision as JSON with sorted keys; equal decisions give equal text."""
        return (
            json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )

    @property
    def digest(self) -> str:
        """The sha256 of the JSON text: what an approval is bound to."""
        return digest_bytes(self.to_json().encode())

    @classmethod
    def from_json(cls, text: str) -> Decision:
        """Read a decision; DataError for another schema version, a missing or an unknown field."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise DataError(f"this is no Decision JSON ({error}); make it again with `detent compare`") from error
        return cls.from_value(value)

    @classmethod
    def from_value(cls, value: object) -> Decision:
        """Build a decision from a parsed JSON object."""
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version not in READABLE_VERSIONS:
            known = " and ".join(map(str, READABLE_VERSIONS))
            raise DataError(f"Decision schema version {version!r}, this Detent reads {known}; decide again")
        return cast(Decision, _build(cls, value, "decision"))


def write_decision(path: Path, decision: Decision) -> None:
    """Write the Decision JSON atomically."""
    write_text(path, decision.to_json())


def read_decision(path: Path) -> Decision:
    """Read a Decision JSON; DataError names the file where it is none."""
    return Decision.from_value(read_json(path))


def _build(kind: Any, value: object, where: str) -> object:
    if dataclasses.is_dataclass(kind):
        return _build_record(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return None if value is None and len(inner) < len(arguments) else _build(inner[0], value, where)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_build(part, item, where) for part, item in zip(kinds, value, strict=True))
    elif (origin is Literal and value in arguments) or (
        origin is dict and isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    ):
        return value
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif kind in (int, str, bool) and type(value) is kind:
        return value
    raise DataError(f"{where}: got {value!r}, expected {kind}; the file was altered or written by something else")


def _build_record(kind: Any, value: object, where: str) -> object:
    hints = get_type_hints(kind)
    needed = {one.name for one in dataclasses.fields(kind) if _has_no_default(one)}
    if not isinstance(value, dict) or not needed <= set(value) <= set(hints):
        got = sorted(value) if isinstance(value, dict) else value
        raise DataError(f"{where}: fields {got!r}, expected {sorted(hints)}; decide again with this version")
    return kind(**{name: _build(hints[name], found, f"{where}.{name}") for name, found in value.items()})


def _has_no_default(one: dataclasses.Field[Any]) -> bool:
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
