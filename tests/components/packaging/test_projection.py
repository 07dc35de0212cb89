from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.champions import Champion, ChampionKey, Pointer, Release
from components.core.errors import ConflictError, SourceError, StateError
from components.core.files import write_json
from components.packaging.projection import BentoTag, champion_bento

MAIN = ChampionKey("products", "IKEA/2026 ü")
PHONE = MAIN._replace(target="phone")


def champion(key: ChampionKey = MAIN, *, sequence: int = 1, **release: str) -> Champion:
    made = Release(**{"model": "m" * 64, "version": "3", **release})
    return Champion(**key._asdict(), release=made, sequence=sequence, generation=1, origin=sequence, since="2026-01-01")


def read(home: Path) -> Pointer | None:
    return BentoTag(home).read(MAIN)


def test_the_pointer_shows_what_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    BentoTag(tmp_path).write(champion(sequence=4))
    assert read(tmp_path) == Pointer(model="m" * 64, sequence=4)
    assert BentoTag(tmp_path).read(MAIN._replace(catalog="other")) is None


def test_a_target_has_a_pointer_of_its_own(bento, bento_home: Path) -> None:
    BentoTag(bento_home).write(champion(PHONE, bento=bento.tag, bento_digest=bento.digest, sequence=2))
    assert champion_bento(bento_home, PHONE) == bento.path
    assert (bento_home / "champions" / "products--IKEA%2F2026%20%C3%BC--phone.json").is_file()
    with pytest.raises(StateError, match="for watch has no Bento to serve"):
        champion_bento(bento_home, MAIN._replace(target="watch"))


def test_the_pointer_of_another_key_is_left_alone(tmp_path: Path) -> None:
    other = ChampionKey("products", f"{MAIN.catalog}--phone")
    BentoTag(tmp_path).write(champion(other, sequence=4))
    for use in (BentoTag(tmp_path).read, lambda key: BentoTag(tmp_path).write(champion(key, sequence=9))):
        with pytest.raises(ConflictError, match="rename the target"):
            use(PHONE)
    with pytest.raises(ConflictError, match="rename the target"):
        champion_bento(tmp_path, PHONE)
    assert BentoTag(tmp_path).read(other) == Pointer(model="m" * 64, sequence=4)


def test_a_pointer_of_an_earlier_version_names_no_key(bento, bento_home: Path) -> None:
    old = MAIN._replace(catalog="old")
    value = {"schema": 1, "model": "m" * 64, "bento": bento.tag, "bento_digest": bento.digest, "sequence": 2}
    write_json(bento_home / "champions" / "products--old.json", value)
    assert BentoTag(bento_home).read(old) == Pointer(model="m" * 64, sequence=2)
    assert champion_bento(bento_home, old) == bento.path


@settings(max_examples=25, deadline=None)
@given(sequences=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_the_pointer_never_goes_back(tmp_path_factory: pytest.TempPathFactory, sequences: list[int]) -> None:
    home = tmp_path_factory.mktemp("home")
    for position, sequence in enumerate(sequences):
        if sequence < max(sequences[:position], default=0):
            with pytest.raises(ConflictError, match="left alone"):
                BentoTag(home).write(champion(sequence=sequence))
        else:
            BentoTag(home).write(champion(sequence=sequence))
        assert read(home).sequence == max(sequences[: position + 1])


def test_a_damaged_pointer_is_repaired(tmp_path: Path) -> None:
    BentoTag(tmp_path).write(champion(sequence=4))
    (path,) = (tmp_path / "champions").iterdir()
    path.write_text("{")
    assert read(tmp_path) is None
    BentoTag(tmp_path).write(champion(sequence=2))
    assert read(tmp_path) == Pointer(model="m" * 64, sequence=2)


def test_the_champions_bento_is_found(bento, bento_home: Path) -> None:
    BentoTag(bento_home).write(champion(bento=bento.tag, bento_digest=bento.digest, model=bento.model_digest))
    assert champion_bento(bento_home, MAIN) == bento.path


def test_a_bento_that_is_gone_is_not_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="detent:gone"):
        BentoTag(tmp_path).write(champion(bento="detent:gone"))
    assert read(tmp_path) is None


@pytest.mark.parametrize("written", [False, True])
def test_no_champion_with_a_bento_says_what_to_do(tmp_path: Path, written: bool) -> None:
    if written:
        BentoTag(tmp_path).write(champion())
    with pytest.raises(StateError, match="promote a release first"):
        champion_bento(tmp_path, MAIN)
