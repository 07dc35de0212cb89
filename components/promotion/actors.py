"""Who acts, and what that person may do.

Identity comes from an `Identify` function: the environment now (DETENT_ACTOR, or the user of the operating
system), single sign-on later by passing another function. Roles come from the section `people` of params.yaml.
A name from the environment is a claim, not a proof: signatures (signatures.py) prove it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from components.core.errors import ConfigError, RefusedError
from components.core.params import Section
from components.core.settings import Settings
from components.promotion.policy import POLICY_ACTOR

Role = Literal["engineer", "release manager", "auditor"]
Verb = Literal["propose", "approve", "reject", "promote", "rollback", "reconcile", "adopt the head"]
Identify = Callable[[], str]

ALLOWED: dict[Verb, tuple[Role, ...]] = {
    "propose": ("engineer", "release manager"),
    "approve": ("release manager",),
    "reject": ("release manager",),
    "promote": ("engineer", "release manager"),
    "rollback": ("release manager",),
    "reconcile": ("engineer", "release manager"),
    "adopt the head": ("auditor",),
}


class Person(Section):
    """One entry of `people`: roles, and the public key that the person's rows are checked with."""

    roles: tuple[Role, ...] = ()
    public_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Ed25519, hex")


class People(Section):
    """Section `people` of params.yaml; who is not listed has the default roles."""

    default_roles: tuple[Role, ...] = ("engineer",)
    named: dict[str, Person] = Field(default_factory=dict)

    def public_keys(self) -> dict[str, str]:
        """The registered public keys by name."""
        return {name: person.public_key for name, person in self.named.items() if person.public_key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person at the command line, with the roles that the config gives."""

    name: str
    roles: tuple[Role, ...]

    def require(self, verb: Verb) -> None:
        """RefusedError unless one of the actor's roles allows `verb`."""
        if not set(self.roles) & set(ALLOWED[verb]):
            raise RefusedError(
                f"{self.name} may not {verb}: has the roles {list(self.roles) or 'none'}, needs one of "
                f"{list(ALLOWED[verb])}; roles are given in params.yaml under people.named"
            )


def name_from_environment() -> str:
    """DETENT_ACTOR, or the name of the operating system's user."""
    return Settings().actor


def current_actor(people: People, *, identify: Identify = name_from_environment) -> Actor:
    """The present actor; ConfigError for a name that cannot stand in the journal."""
    name = identify().strip()
    if not name or not name.isprintable() or len(name) > 200 or name.startswith(POLICY_ACTOR):
        raise ConfigError(
            f"actor name {name!r} cannot be used: give 1 to 200 printable characters that do not start with "
            f"{POLICY_ACTOR!r} in DETENT_ACTOR"
        )
    person = people.named.get(name)
    return Actor(name=name, roles=person.roles if person else people.default_roles)
