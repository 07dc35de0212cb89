"""What is asked: of which two photos. People are dealt into cells that no pair leaves, so cells fail independently."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from components.core import manifest
from components.core.digests import digest_json


def rules() -> object:
    """Whole people are held out: nobody in certify was ever in train."""
    from components.validation.rules import Rules, label_of

    return Rules(hold_out=label_of, ask=lambda photos: {split: [*ask(folder)] for split, folder in photos.items()})


def ask(photos: Path) -> Iterator[dict[str, object]]:
    """Of one split all pairs of a person's photos, and one of each two people in a cell."""
    people: dict[str, list[str]] = defaultdict(list)
    for photo in manifest.read(photos, ["sample_id", "label"]).to_pylist():
        people[photo["label"]].append(photo["sample_id"])
    cells = {person: int(digest_json(person)[:8], 16) % 32 for person in people}
    genuine = [(name, name, pair) for name, own in people.items() for pair in combinations(sorted(own), 2)]
    couples = [(a, b) for a, b in combinations(sorted(people), 2) if cells[a] == cells[b]]
    for a, b, pair in genuine + [(a, b, (min(people[a]), max(people[b]))) for a, b in couples]:
        truth, trial = ("same", "genuine") if a == b else ("different", "impostor")
        groups = {"group": f"{photos.name} cell {cells[a]}", "group_left": a, "group_right": b}
        yield {"images": pair, "truth": truth, "s_trial": trial, **groups}
