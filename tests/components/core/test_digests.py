"""Digests depend on content alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from components.core.digests import digest_bytes, digest_file, digest_json, digest_tree, sample_id


def test_bytes_and_files_have_their_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert digest_bytes(b"abc") == digest_file(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
    assert sample_id(b"abc") == digest_bytes(b"abc")[:32]


def test_json_ignores_key_order_and_refuses_nan() -> None:
    assert digest_json({"a": 1, "b": [2]}) == digest_json({"b": [2], "a": 1})
    assert digest_json({"a": 1}) != digest_json({"a": "1"})
    with pytest.raises(ValueError, match="JSON"):
        digest_json({"a": float("nan")})


def test_trees_depend_on_names_and_contents_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x.py").write_text("1")
    before = digest_tree(tmp_path / "one")
    assert before == digest_tree(tmp_path / "two")
    (tmp_path / "one" / "__pycache__").mkdir()
    (tmp_path / "one" / "__pycache__" / "x.pyc").write_text("noise")
    assert digest_tree(tmp_path / "one") == before
    (tmp_path / "one" / "sub" / "x.py").rename(tmp_path / "one" / "sub" / "y.py")
    assert digest_tree(tmp_path / "one") != before
    assert digest_tree(tmp_path / "one", "*.txt") == digest_tree(tmp_path / "two", "*.txt")
