"""The checks of images, whatever is asked of them: each a sentence that must be true, blocking or a warning.

To add one, append a Check here, and to `components/validation/frames.py` the column that it reads. Those of questions
are in `questions.py`, a workload's own come with its `Rules`.
"""

from __future__ import annotations

from components.datasets.splits import DEALT, RESERVE
from components.validation.config import ValidationConfig
from components.validation.suites import Check


def image_checks(config: ValidationConfig) -> list[Check]:
    """The checks of any images and of how photos are dealt, in the order of their codes."""
    return [*_row_checks(), *_looks(config), *_split_checks(config), *_scene_checks()]


def _row_checks() -> list[Check]:
    return [
        Check(
            code="V001",
            severity="blocking",
            sentence="Every sample's id is the digest of its bytes.",
            frame="samples",
            expectation="ExpectColumnValuesToBeInSet",
            arguments={"column": "id_matches", "value_set": [True]},
        ),
        Check(
            code="V002",
            severity="blocking",
            sentence="No two usable samples have the same id.",
            frame="samples",
            expectation="ExpectColumnValuesToBeUnique",
            arguments={"column": "sample_id"},
        ),
    ]


def _looks(config: ValidationConfig) -> list[Check]:
    return [
        Check(
            code="V005",
            severity="warning",
            sentence="No image had to be quarantined.",
            frame="inputs",
            expectation="ExpectColumnValuesToBeNull",
            arguments={"column": "reason"},
            names="name_and_reason",
        ),
        Check(
            code="V006",
            severity="blocking",
            sentence=f"At most {config.max_quarantined_share:.0%} of each source is unusable (surplus copies aside).",
            frame="sources",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "unusable_share", "max_value": config.max_quarantined_share},
        ),
        Check(
            code="V007",
            severity="warning",
            sentence=f"The short side of every image has at least {config.small_side_px} pixels.",
            frame="samples",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "short_side_px", "min_value": config.small_side_px},
        ),
        Check(
            code="V008",
            severity="warning",
            sentence=f"No image is more than {config.max_aspect:g} times as long as wide.",
            frame="samples",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "aspect", "max_value": config.max_aspect},
        ),
        Check(
            code="V009",
            severity="warning",
            sentence=f"No photo is nearly black or burnt out (mean level {config.min_mean:g} to {config.max_mean:g}).",
            frame="photos",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "mean", "min_value": config.min_mean, "max_value": config.max_mean},
        ),
        Check(
            code="V010",
            severity="warning",
            sentence="Every image is 8-bit RGB (grey, CMYK and 16 bit are converted, transparency is laid on white).",
            frame="samples",
            expectation="ExpectColumnValuesToBeInSet",
            arguments={"column": "mode", "value_set": ["RGB"]},
            names="mode_and_name",
        ),
    ]


def _split_checks(config: ValidationConfig) -> list[Check]:
    return [
        Check(
            code="V016",
            severity="blocking",
            sentence="Every photo is in train, search or certify, kept in reserve, or shown and retired.",
            frame="photos",
            expectation="ExpectColumnValuesToBeInSet",
            arguments={"column": "split_or_none", "value_set": [*DEALT, RESERVE, "replay"]},
        ),
        Check(
            code="V017",
            severity="blocking",
            sentence="Train, search and certify all hold photos (certify may wait for new ones once it is retired).",
            frame="needed_splits",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_photos", "min_value": 1},
        ),
        Check(
            code="V018",
            severity="warning",
            sentence=f"Each split's share is within {config.share_tolerance:.0%} of what was asked for.",
            frame="splits",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "off_by", "max_value": config.share_tolerance},
        ),
        Check(
            code="V019",
            severity="blocking",
            sentence="No group of near duplicates or copies stands in two splits.",
            frame="groups",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_splits", "max_value": 1},
            is_leak=True,
        ),
        Check(
            code="V020",
            severity="blocking",
            sentence="No photo and what was derived from it stand in two splits.",
            frame="parents",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_splits", "max_value": 1},
            is_leak=True,
        ),
        Check(
            code="V024",
            severity="warning",
            sentence="No photo given to certify was in train or search, or shown (such a photo stays where it was).",
            frame="given",
            expectation="ExpectColumnValuesToBeInSet",
            arguments={"column": "was", "value_set": ["never seen"]},
        ),
    ]


def _scene_checks() -> list[Check]:
    return [
        Check(
            code="V021",
            severity="warning",
            sentence="Search and certify are no closer to train than photos of different scenes are to each other.",
            frame="scene_splits",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "over_chance", "max_value": 0.0},
        ),
    ]
