from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import ConflictError, SourceError, StateError
from components.packaging.projection import BentoTag, champion_bento


@dataclass(frozen=True, kw_only=True)
class Pointer:
    model: str
    sequence: int


@dataclass(frozen=True, kw_only=True)
class Champion:
    workload: str = "products"
    catalog: str = "IKEA/2026 ü"
    target: str = ""
    model: str = "m" * 64
    bento: str | None = None
    bento_digest: str | None = None
    sequence: int = 1


def read(home: Path) -> Pointer | None:
    return BentoTag(home, Pointer).read(Champion())


def test_the_pointer_shows_what_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    BentoTag(tmp_path, Pointer).write(Champion(sequence=4))
    assert read(tmp_path) == Pointer(model="m" * 64, sequence=4)
    assert BentoTag(tmp_path, Pointer).read(Champion(catalog="other")) is None


def test_a_target_has_a_pointer_of_its_own(bento, bento_home: Path) -> None:
    champion = Champion(target="phone", bento=bento.tag, bento_digest=bento.digest, sequence=2)
    BentoTag(bento_home, Pointer).write(champion)
    assert champion_bento(bento_home, champion.workload, champion.catalog, "phone") == bento.path
    assert (bento_home / "champions" / "products--IKEA%2F2026%20%C3%BC--phone.json").is_file()
    with pytest.raises(StateError, match="no Bento to serve for watch"):
        champion_bento(bento_home, champion.workload, champion.catalog, "watch")


@settings(max_examples=25, deadline=None)
@given(sequences=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_the_pointer_never_goes_back(tmp_path_factory: pytest.TempPathFactory, sequences: list[int]) -> None:
    home = tmp_path_factory.mktemp("home")
    for position, sequence in enumerate(sequences):
        if sequence < max(sequences[:position], default=0):
            with pytest.raises(ConflictError, match="left alone"):
                BentoTag(home, Pointer).write(Champion(sequence=sequence))
        else:
            BentoTag(home, Pointer).write(Champion(sequence=sequence))
        assert read(home).sequence == max(sequences[: position + 1])


def test_a_damaged_pointer_is_repaired(tmp_path: Path) -> None:
    BentoTag(tmp_path, Pointer).write(Champion(sequence=4))
    (path,) = (tmp_path / "champions").iterdir()
    path.write_text("{")
    assert read(tmp_path) is None
    BentoTag(tmp_path, Pointer).write(Champion(sequence=2))
    assert read(tmp_path) == Pointer(model="m" * 64, sequence=2)


def test_the_champions_bento_is_found(bento, bento_home: Path) -> None:
    champion = Champion(bento=bento.tag, bento_digest=bento.digest, model=bento.model_digest)
    BentoTag(bento_home, Pointer).write(champion)
    assert champion_bento(bento_home, champion.workload, champion.catalog) == bento.path


def test_a_bento_that_is_gone_is_not_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="detent:gone"):
        BentoTag(tmp_path, Pointer).write(Champion(bento="detent:gone"))
    assert read(tmp_path) is None


@pytest.mark.parametrize("written", [False, True])
def test_no_champion_with_a_bento_says_what_to_do(tmp_path: Path, written: bool) -> None:
    if written:
        BentoTag(tmp_path, Pointer).write(Champion())
    with pytest.raises(StateError, match="promote a release first"):
        champion_bento(tmp_path, "products", "IKEA/2026 ü")
