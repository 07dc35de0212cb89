"""Over any life of a data set nothing that was seen gets into certify, and no group stands in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.validation.config import SplitShares, ValidationConfig
from components.validation.facts import Facts
from components.validation.grouping import PhotoGroups, group_photos
from components.validation.members import _placement
from components.validation.placement import SEEN, Placement, merge

NUM = 14
SHARES = (
    SplitShares(),
    SplitShares(train=0.3, search=0.2, certify=0.5),
    SplitShares(train=0.3, search=0.2, certify=0.2, reserve=0.3),
)
PIXELS = np.random.default_rng(0).integers(0, 255, (NUM, 32, 32, 3)).astype(np.uint8)


def photo(index: int, **more: object) -> Facts:
    plain = Facts(
        index=index,
        source="photo",
        sample_id=f"{index * 977 % 1000:03d}",
        name=f"{index}.jpg",
        label="xy"[index % 2],
        split=None,
        group=None,
        parents=(),
        id_matches=True,
        fault=None,
        mode="RGB",
        width_px=32,
        height_px=32,
        mean=127.0,
        std=50.0,
        thumbnail=PIXELS[index],
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def remember(memory: Placement, found: PhotoGroups, config: ValidationConfig) -> Placement:
    rows = zip(found.photos, found.groups, found.splits, strict=True)
    return merge(memory, _placement([(fact, key, split or "") for fact, key, split in rows], config.split_seed))


def splits(found: PhotoGroups) -> dict[str, str | None]:
    return {fact.sample_id: split for fact, split in zip(found.photos, found.splits, strict=True)}


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Facts], ValidationConfig]:
    """Some of the photos, with any links, by parent, name or looks, under any seed and shares."""
    shown = draw(st.lists(st.integers(0, NUM - 1), unique=True, min_size=1, max_size=NUM))
    links = [draw(st.sampled_from([{}, {}, {"group": "a"}, {"group": "b"}, "parent", "looks"])) for _ in shown]
    photos = []
    for index, link in zip(shown, links, strict=True):
        other = draw(st.integers(0, NUM - 1)) if isinstance(link, str) else 0
        more = {"parent": {"parents": (photo(other).sample_id,)}, "looks": {"thumbnail": PIXELS[other]}}
        photos.append(photo(index, **(more[link] if isinstance(link, str) else link)))
    config = ValidationConfig(split_seed=draw(st.integers(0, 9)), shares=draw(st.sampled_from(SHARES)))
    return photos, config


@settings(max_examples=20, deadline=None)
@given(st.lists(steps(), min_size=2, max_size=5))
def test_what_was_in_train_or_search_is_never_certify(life: Sequence[tuple[list[Facts], ValidationConfig]]) -> None:
    memory, seen, in_reserve_or_later = Placement(), set[str](), set[str]()
    for photos, config in life:
        found = group_photos(photos, config, memory=memory)
        placed = splits(found)
        assert not seen & {name for name, split in placed.items() if split in ("certify", "reserve")}
        assert not in_reserve_or_later & {name for name, split in placed.items() if split == "reserve"}
        torn = {key: {s for k, s in zip(found.groups, found.splits, strict=True) if k == key} for key in found.groups}
        assert all(len(where) == 1 for where in torn.values())
        memory = remember(memory, found, config)
        assert all(memory.photos[name].split == split for name, split in placed.items())
        again = group_photos(photos, config, memory=memory)
        assert (again.groups, again.splits) == (found.groups, found.splits), "it is its own memory's answer"
        seen |= {name for name, split in placed.items() if split in SEEN}
        in_reserve_or_later |= {name for name, split in placed.items() if split != "reserve"}


def test_without_memory_another_seed_would_do_it() -> None:
    """What the property guards against does happen: forgotten, photos go from train into certify by the seed."""
    photos = [photo(index) for index in range(NUM)]
    first, other = (splits(group_photos(photos, ValidationConfig(split_seed=s), memory=Placement())) for s in (0, 1))
    assert any(first[name] == "train" and other[name] == "certify" for name in first)


def placed_in(split: str, num: int = NUM) -> tuple[Placement, list[Facts], ValidationConfig]:
    """A memory of some photos, and those of them that stand in a split."""
    config = ValidationConfig(shares=SHARES[1])
    photos = [photo(index) for index in range(num)]
    found = group_photos(photos, config, memory=Placement())
    chosen = [fact for fact in photos if splits(found)[fact.sample_id] == split]
    assert chosen
    return remember(Placement(), found, config), chosen, config


def test_a_copy_stored_anew_is_known_when_the_original_is_gone() -> None:
    memory, (original, *_), config = placed_in("train", NUM - 1)
    noisy = original.thumbnail.astype(int) + np.random.default_rng(1).integers(-3, 4, (32, 32, 3))
    copy = photo(NUM - 1, thumbnail=noisy.clip(0, 255).astype(np.uint8))
    found = group_photos([copy], config, memory=memory)
    assert found.groups == [memory.photos[original.sample_id].group] and found.splits == ["train"]
    stranger = group_photos([photo(NUM - 1)], config, memory=memory)
    assert stranger.groups == [photo(NUM - 1).sample_id]


def test_a_name_brings_a_new_photo_to_the_group_that_had_it() -> None:
    config = ValidationConfig()
    found = group_photos([photo(0), photo(1, group="shop", parents=("ext",)), photo(0)], config, memory=Placement())
    memory = remember(Placement(), found, config)
    for seed in range(8):
        later = group_photos([photo(5, group="shop")], ValidationConfig(split_seed=seed), memory=memory)
        assert later.splits == [memory.photos[photo(1).sample_id].split]


def test_the_users_own_split_is_left_but_for_what_was_seen() -> None:
    memory, (seen, *_), config = placed_in("train")
    _, (unseen, *_), _ = placed_in("certify")
    new = replace(photo(3), sample_id="new", thumbnail=PIXELS[3][::-1])
    given_to = [replace(fact, split="certify") for fact in (seen, unseen, new)]
    other = replace(photo(5), sample_id="other", split="train", thumbnail=PIXELS[5][:, ::-1])
    found = group_photos([*given_to, other], config, memory=memory)
    assert found.splits == ["train", "certify", "certify", "train"] and dict(found.refused) == {0: "train"}
