"""Identity comes from the environment or another function; roles from the config."""

from __future__ import annotations

import pytest

from components.core.errors import ConfigError, RefusedError
from components.core.params import parse_section
from components.promotion.actors import ALLOWED, Actor, People, current_actor

PEOPLE = People.model_validate({"named": {"rita": {"roles": ["release manager"], "public_key": "ab" * 32}}})


def test_the_environment_names_the_actor_and_the_config_the_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_ACTOR", "rita")
    assert current_actor(PEOPLE) == Actor(name="rita", roles=("release manager",))
    monkeypatch.delenv("DETENT_ACTOR")
    monkeypatch.setenv("LOGNAME", "someone")
    assert current_actor(PEOPLE) == Actor(name="someone", roles=("engineer",))


def test_single_sign_on_is_another_function() -> None:
    assert current_actor(PEOPLE, identify=lambda: "rita").roles == ("release manager",)


@pytest.mark.parametrize("name", ["", "  ", "policy:demo", "a\nb", "x" * 201])
def test_names_that_cannot_stand_on_record_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="DETENT_ACTOR"):
        current_actor(PEOPLE, identify=lambda: name)


@pytest.mark.parametrize("verb", ALLOWED)
def test_a_verb_asks_for_one_of_its_roles(verb: str) -> None:
    with pytest.raises(RefusedError, match=f"nobody may not {verb}.*people.named"):
        Actor(name="nobody", roles=()).require(verb)  # type: ignore[arg-type]
    for role in ALLOWED[verb]:  # type: ignore[index]
        Actor(name="somebody", roles=(role,)).require(verb)  # type: ignore[arg-type]


def test_people_are_checked_and_give_their_keys() -> None:
    assert PEOPLE.public_keys() == {"rita": "ab" * 32}
    with pytest.raises(ConfigError, match=r"named\.rita\.roles.*(engineer|release manager)"):
        parse_section(People, {"named": {"rita": {"roles": ["boss"]}}}, where="people")
