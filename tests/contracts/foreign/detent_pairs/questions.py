"""What is asked: of which two photos. People are dealt into cells that no pair leaves, so cells fail independently."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from components.core.digests import digest_json
from components.core.samples import question_id

NUM_CELLS = 32


def ask(photos: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All pairs of a person's photos, and one of each two people in a cell; rows of one split's manifest in."""
    people: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        people[photo["label"]].append(photo["sample_id"])
    cells = {person: int(digest_json(person)[:8], 16) % NUM_CELLS for person in people}
    genuine = [(name, name, pair) for name, own in people.items() for pair in combinations(sorted(own), 2)]
    couples = [(a, b) for a, b in combinations(sorted(people), 2) if cells[a] == cells[b]]
    for a, b, pair in genuine + [(a, b, (min(people[a]), max(people[b]))) for a, b in couples]:
        truth, trial = ("same", "genuine") if a == b else ("different", "impostor")
        asked = {"sample_id": question_id(pair), "images": list(pair), "ask": "", "truth": truth, "s_trial": trial}
        yield asked | {"group": f"cell {cells[a]}", "group_left": a, "group_right": b}


def validation(given: Any) -> Any:
    """Temporary."""
    from components.core import manifest, samples
    from components.core.files import atomic_directory
    from components.core.stages import StageReport, write_report
    from components.datasets.splits import assign_splits

    rows = manifest.read(given.workspace.source("photos")).to_pylist()
    labels = sorted({row["label"] for row in rows})
    place = dict(zip(labels, assign_splits(labels, labels, shares=given.params.validation.shares.by_split(), seed=0), strict=True))
    with atomic_directory(given.workspace.stage("validation")) as out:
        for split in ("train", "search", "certify", "reserve"):
            own = [row for row in rows if place[row["label"]] == split]
            with manifest.ManifestWriter(out / "photos" / split) as writer:
                for row in own:
                    writer.write(row | {"split": split, "group": row["label"]})
            asked = list(ask(own))
            samples.write(out / "samples" / f"{split}.parquet", asked)
        from components.validation.placement import Placed, Placement, write_members
        write_members(out / "members.parquet", Placement(photos={r["sample_id"]: Placed(sample_id=r["sample_id"], group=r["label"], split=place[r["label"]]) for r in rows}))
        write_report(out, StageReport())
    return StageReport()
