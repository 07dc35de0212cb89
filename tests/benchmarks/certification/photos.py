"""What is known of photos: copies recognised, near duplicates told, scenes kept out of certify (shared photos)."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tests.benchmarks.certification import duplicates, recognition, scenes
from tests.benchmarks.figures import SHORT, Figure

QUALITIES = (40, 75) if SHORT else (40, 60, 75, 95)
NUM_PHOTOS = 120 if SHORT else 400


def figures() -> Iterator[Figure]:
    """All of it; nothing where the photos are not on this machine."""
    if not recognition.available():
        click.echo("  no photos: the shared grocery photos are not here")
        return
    yield from _recognised()
    yield from _told()
    yield from _scenes()


def _recognised() -> Iterator[Figure]:
    shares = {f"JPEG {quality}": recognition.recognised(quality) for quality in QUALITIES}
    shares["WebP 80, half size"] = recognition.recognised(80, kind="webp", scale=0.5)
    worst = min(shares, key=lambda name: shares[name])
    yield Figure(
        name="photos known again after re-encoding, worst way",
        value=shares[worst],
        goal="at least 99%",
        met=shares[worst] >= 0.99,
        spread=f"{worst}; ids, digests of bytes, know none",
        peer="ids 0.0%",
    )
    wrong = recognition.matches()
    yield Figure(
        name="pairs of different photos taken for one, near duplicates aside",
        value=wrong["other"] / wrong["pairs"],
        goal="at most 1 in a million",
        met=wrong["other"] / wrong["pairs"] <= 1e-6,
        spread=f"{wrong['other']} of {wrong['pairs']:,}; {wrong['near']} near duplicates besides",
    )


def _told() -> Iterator[Figure]:
    for name, found in duplicates.measure(NUM_PHOTOS).items():
        yield Figure(
            name=f"near duplicates, precision on {name}",
            value=found["precision"],
            seeds=[0],
            spread=f"recall {found['recall']:.3f}, {found['num_photos']:.0f} photos x 5 changes",
        )


def _scenes() -> Iterator[Figure]:
    """A judge that learns where colours lie: far better on left-out photos than on other visits is a leak."""
    for name, found in scenes.leak().items():
        truth, held_out = found["layout_truth"], found["layout_held_out"]
        is_ours = name.startswith("scene")
        yield Figure(
            name=f"accuracy on photos held out by {name}, over that on other visits",
            value=held_out / truth,
            goal="at most 1.5" if is_ours else "",
            met=held_out / truth <= 1.5 if is_ours else None,
            spread=f"{held_out:.1%} held out, {truth:.1%} on other visits, {found['num_groups']:.0f} groups",
            seeds=[0],
        )
