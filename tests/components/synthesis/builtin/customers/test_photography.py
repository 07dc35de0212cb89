"""Customers' photos are balanced, described, and the same whatever the number of processes."""

import json
from collections import Counter

from components.core import manifest
from components.core.digests import sample_id
from components.synthesis.builtin.classes import CLASSES
from components.synthesis.builtin.customers import photography
from components.synthesis.builtin.customers.photography import photograph_customers


def test_photos_are_balanced_described_and_the_same_from_one_and_two_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(photography, "_ROWS_PER_SHARD", 16)
    folders = []
    for workers in ("1", "2"):
        monkeypatch.setenv("DETENT_WORKERS", workers)
        folders.append(tmp_path / workers)
        assert photograph_customers(folders[-1], num_photos=43, size_px=16, seed=2) == 43
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    rows = manifest.read(folders[0]).to_pylist()
    assert len(rows) == 43
    assert len({row["sample_id"] for row in rows}) == 43
    counts = Counter(row["label"] for row in rows)
    assert set(counts) == set(CLASSES)
    assert max(counts.values()) - min(counts.values()) <= 2
    for row in rows:
        assert row["source"] == "photo"
        assert row["split"] is None
        assert row["sample_id"] == sample_id(row["image"]["bytes"])
        assert 0 <= row["f_occlusion"] <= 1
        assert json.loads(row["recipe"])["seed"] == 2
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], set()).add(row["label"])
    assert all(len(labels) == 1 for labels in groups.values())
    assert len({row["f_light"] for row in rows}) >= 3


def test_another_seed_gives_other_photos(tmp_path, monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")
    ids = []
    for seed in (0, 1):
        photograph_customers(tmp_path / str(seed), num_photos=4, size_px=16, seed=seed)
        ids.append(set(manifest.read(tmp_path / str(seed)).column("sample_id").to_pylist()))
    assert not ids[0] & ids[1]
