"""The memory of the split only grows, and nothing in it moves from what was seen to what was not."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import DataError
from components.validation.placement import (
    EXPOSURE,
    FILE,
    Placed,
    Placement,
    merge,
    read_placement,
    write_placement,
)
from components.validation.retirement import retire, set_aside

memories = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("12345"), max_size=6).flatmap(
    lambda groups: st.fixed_dictionaries({key: st.sampled_from(EXPOSURE) for key in sorted(set(groups.values()))}).map(
        lambda splits: placement({photo: (key, splits[key]) for photo, key in groups.items()})
    )
)


def placement(photos: dict[str, tuple[str, str]]) -> Placement:
    return Placement(
        photos={
            name: Placed(sample_id=name, group=group, split=split)  # type: ignore[arg-type]
            for name, (group, split) in photos.items()
        }
    )


def told(memory: Placement) -> dict[str, tuple[str, str]]:
    return {name: (photo.group, photo.split) for name, photo in memory.photos.items()}


@settings(max_examples=200)
@given(st.lists(memories, min_size=1, max_size=3))
def test_merged_in_any_order_nothing_gets_less_seen_and_no_group_is_torn(parts: list[Placement]) -> None:
    whole = merge(*parts)
    assert all(merge(*turned) == whole for turned in permutations(parts))
    assert merge(whole, *parts) == whole
    for photo in whole.photos.values():
        before = [part.photos[photo.sample_id].split for part in parts if photo.sample_id in part.photos]
        assert EXPOSURE.index(photo.split) <= min(EXPOSURE.index(split) for split in before)
    assert len({(photo.group, photo.split) for photo in whole.photos.values()}) == len(whole.splits())


def test_groups_that_a_photo_joins_take_the_place_of_the_more_seen() -> None:
    before = placement({"a": ("A", "train"), "b1": ("B", "certify"), "b2": ("B", "certify"), "c": ("C", "reserve")})
    joined = placement({"a": ("A", "train"), "b1": ("A", "train"), "new": ("A", "train")})
    assert told(merge(before, joined)) == {
        **dict.fromkeys(("a", "b1", "b2", "new"), ("A", "train")),  # b2, which is no longer there, as well
        "c": ("C", "reserve"),
    }


def test_it_is_written_and_read_back_with_its_seed(tmp_path: Path) -> None:
    photo = Placed(sample_id="x", group="g", split="certify", named="shop 3", shows=bytes(range(32)))
    memory = Placement(photos={"x": photo, "y": Placed(sample_id="y", group="y", split="train")}, split_seed=7)
    write_placement(tmp_path, memory)
    assert read_placement(tmp_path) == memory
    first = (tmp_path / FILE).read_bytes()
    write_placement(tmp_path, Placement(photos=dict(reversed(memory.photos.items())), split_seed=7))
    assert (tmp_path / FILE).read_bytes() == first
    assert read_placement(tmp_path / "absent") == read_placement(None) == Placement()


def test_a_damaged_memory_is_refused_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    def refuses(match: str) -> None:
        with pytest.raises(DataError, match=match) as caught:
            read_placement(tmp_path)
        assert FILE in str(caught.value) and "dvc checkout" in str(caught.value)

    write_placement(tmp_path, placement({"a": ("A", "train")}))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-20])
    refuses("no memory of a split")
    pq.write_table(pa.table({"sample_id": ["a"]}), tmp_path / FILE)
    refuses("no memory of a split")
    for rows, fault in (
        ({"a": ("A", "test")}, "no placed photo"),
        ({"a": ("", "train")}, "no placed photo"),
        ({"a": ("A", "train"), "b": ("A", "certify")}, "group A stands in train and in certify"),
    ):
        write_placement(tmp_path, placement(rows))
        refuses(fault)
    table = pq.read_table(tmp_path / FILE)
    pq.write_table(pa.concat_tables([table.slice(0, 1), table.slice(0, 1)]), tmp_path / FILE)
    refuses("twice")


BEFORE = placement(
    {"t": ("T", "train"), "c": ("C", "certify"), "r": ("R", "reserve"), "gone": ("G", "reserve"), "s": ("S", "search")}
)


def test_a_refresh_takes_the_reserve_and_what_no_split_has_held() -> None:
    groups = {"n1": "N", "n2": "N", "near t": "T", "near c": "C", "near r": "R"}
    present = [Placed(sample_id=name, group=group, split="train") for name, group in groups.items()]
    present += [photo for name, photo in BEFORE.photos.items() if name != "gone"]
    made = retire(BEFORE, present, to="train")
    assert made.retired == ("c",) and made.certify == ("n1", "n2", "near r", "r")
    assert (made.num_from_reserve, made.num_new, made.num_left_out) == (1, 3, 2)
    assert made.placement.members("certify") == ["gone", "n1", "n2", "near r", "r"]
    assert made.placement.members("train") == ["c", "t"] and made.placement.members("search") == ["s"]
    again = retire(merge(BEFORE, made.placement), present, to="train")
    assert again.certify == () and again.num_left_out == 2, "what has become certify is not new a second time"


def test_a_reserve_that_a_new_photo_joins_to_train_is_not_taken() -> None:
    joined = [Placed(sample_id=name, group="T", split="train") for name in ("t", "r", "bridge")]
    made = retire(BEFORE, joined, to="replay")
    assert made.certify == () and made.num_left_out == 1
    assert made.placement.members("replay") == ["c"] and "r" in made.placement.members("train")


def test_in_a_users_own_split_only_what_is_given_to_certify_comes_in() -> None:
    present = [Placed(sample_id=split, group=split, split=split) for split in ("train", "search", "certify")]
    assert retire(Placement(), present, to="train", is_own_split=True).certify == ("certify",)


def test_what_was_shown_leaves_certify_with_its_group() -> None:
    memory = placement({"a": ("A", "certify"), "b": ("A", "certify"), "c": ("C", "certify"), "t": ("T", "train")})
    after = set_aside(memory, {"a", "t"})
    assert told(after) == told(memory) | {"a": ("A", "replay"), "b": ("A", "replay")}
    assert after.has_retired and not memory.has_retired
