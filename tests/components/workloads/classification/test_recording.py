"""What a classifier answered is kept whole, and another answer from a server is told, sample by sample."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from components.core import manifest
from components.core import samples as questions
from components.core.digests import sample_id
from components.core.errors import DataError, IntegrityError
from components.core.manifest import ManifestWriter
from components.core.samples import SampleSet
from components.datasets.decoding import decode_fit
from components.models import prediction
from components.models.artefacts import load_model
from components.models.prediction import predict
from components.serving.server import free_port
from components.workloads.classification import recording as recordings
from components.workloads.classification.recording import (
    TIE,
    TOLERANCE,
    Recording,
    compare,
    read_recording,
    record,
    write_recording,
)

SMALL = Recording(
    sample_ids=("a" * 32, "b" * 32),
    images=(b"\x00first\x00", b"second"),
    probabilities=np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32),
    classes=("mug", "lamp"),
    model_digest="f" * 64,
)


@pytest.fixture(scope="session")
def kept(model_folder: Path, search: SampleSet, served: Path) -> Path:
    """The recording of the model that the running Bento serves."""
    record(model_folder, search, num_samples=20, out=served / "recording", cache=served / "cache")
    return served / "recording"


@pytest.fixture
def changed(kept: Path, tmp_path: Path):
    """Writes the recording with other fields."""

    def write(**fields: object) -> Path:
        write_recording(tmp_path / "changed", replace(read_recording(kept), **fields))
        return tmp_path / "changed"

    return write


def change_weight(model_folder: Path, target: Path, *, by: float) -> Path:
    """A copy of a model in which one value of one tensor is another."""
    shutil.copytree(model_folder, target)
    tensors = safetensors.numpy.load_file(target / "model.safetensors")
    name = next(name for name, tensor in sorted(tensors.items()) if name.endswith("bias") and tensor.shape == (6,))
    tensors[name] = tensors[name].copy()
    tensors[name][0] += np.float32(by)
    safetensors.numpy.save_file(tensors, target / "model.safetensors")
    return target


def test_it_holds_what_the_model_answers_to_these_bytes(
    model_folder: Path, search: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        prediction, "predict", lambda model, pixels: asked.append(len(pixels)) or predict(model, pixels)
    )
    record(model_folder, search, num_samples=5, out=tmp_path / "kept", cache=tmp_path / "cache")
    found = read_recording(tmp_path / "kept")
    assert asked == [5], "only what is kept is predicted"
    assert len(set(found.sample_ids)) == 5
    assert [sample_id(image) for image in found.images] == list(found.sample_ids)
    model = load_model(model_folder)
    pixels = np.stack([decode_fit(image, 32, name="x") for image in found.images])
    assert np.allclose(found.probabilities, predict(model, pixels), atol=1e-6)
    assert (found.model_digest, found.classes) == (model.digest, model.spec.classes)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kept"], "no suffix is added"


def test_the_questions_of_the_table_are_kept(model_folder: Path, search: SampleSet, tmp_path: Path) -> None:
    ids = manifest.read(search.images, ["sample_id"])["sample_id"].to_pylist()
    rows = [{"sample_id": f"q{name}", "images": [name], "ask": "which?", "truth": "mug"} for name in ids[7:9]]
    questions.write(tmp_path / "search.parquet", rows)
    asked = SampleSet(images=search.images, path=tmp_path / "search.parquet")
    record(model_folder, asked, num_samples=20, out=tmp_path / "kept", cache=tmp_path / "cache")
    found = read_recording(tmp_path / "kept")
    assert sorted(found.sample_ids) == sorted(f"q{name}" for name in ids[7:9])
    assert [f"q{sample_id(image)}" for image in found.images] == list(found.sample_ids)


def test_nothing_to_record_and_nan_are_refused(
    model_folder: Path, search: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ManifestWriter(tmp_path / "none"):
        pass
    nothing = SampleSet(images=tmp_path / "none", path=tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no sample to hold a Bento to"):
        record(model_folder, nothing, num_samples=5, out=tmp_path / "kept", cache=tmp_path / "cache")
    monkeypatch.setattr(prediction, "predict", lambda _model, pixels: np.full((len(pixels), 6), np.nan))
    with pytest.raises(DataError, match="gives NaN"):
        record(model_folder, search, num_samples=5, out=tmp_path / "kept", cache=tmp_path / "cache")
    assert not (tmp_path / "kept").exists()


def test_the_bento_of_the_evaluated_model_passes(server, kept: Path) -> None:
    parity = compare(server.port, kept)
    assert parity.num_samples == 20
    assert parity.max_difference < 1e-4 < parity.tolerance


@pytest.mark.parametrize(("by", "reason"), [(5.0, "answers '.*', evaluated was 'mug'"), (0.02, "probabilities differ")])
def test_one_changed_weight_is_caught_with_the_samples(
    server, model_folder: Path, search: SampleSet, tmp_path: Path, by: float, reason: str
) -> None:
    evaluated = change_weight(model_folder, tmp_path / "other", by=by)
    record(evaluated, search, num_samples=20, out=tmp_path / "kept", cache=tmp_path / "cache")
    with pytest.raises(IntegrityError, match=reason) as caught:
        compare(server.port, tmp_path / "kept")
    assert any(name in str(caught.value) for name in read_recording(tmp_path / "kept").sample_ids)


def test_a_weight_changed_too_little_to_see_is_still_another_model(
    server, model_folder: Path, search: SampleSet, tmp_path: Path
) -> None:
    evaluated = change_weight(model_folder, tmp_path / "other", by=1e-6)
    record(evaluated, search, num_samples=20, out=tmp_path / "kept", cache=tmp_path / "cache")
    with pytest.raises(IntegrityError, match="serves model"):
        compare(server.port, tmp_path / "kept")


def test_a_permuted_class_list_is_caught(server, kept: Path, changed) -> None:
    classes = read_recording(kept).classes
    with pytest.raises(IntegrityError, match=r"20 of 20 samples.*and 10 more"):
        compare(server.port, changed(classes=(*classes[1:], classes[0])))


def test_an_image_that_cannot_be_decoded_is_named_with_the_answer(server, kept: Path, changed) -> None:
    found = read_recording(kept)
    with pytest.raises(IntegrityError, match=f"1 of 20 samples: {found.sample_ids[-1]} .HTTP 400"):
        compare(server.port, changed(images=(*found.images[:-1], b"no image")))


def test_no_server_is_named_sample_by_sample(kept: Path) -> None:
    with pytest.raises(IntegrityError, match="no answer"):
        compare(free_port(), kept)


def test_a_recording_comes_back_as_it_was(tmp_path: Path) -> None:
    write_recording(tmp_path / "x", SMALL)
    found = read_recording(tmp_path / "x")
    assert (found.sample_ids, found.images, found.classes) == (SMALL.sample_ids, SMALL.images, SMALL.classes)
    assert found.model_digest == SMALL.model_digest
    assert np.array_equal(found.probabilities, SMALL.probabilities)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_recording_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(IntegrityError, match="x cannot be read"):
        read_recording(tmp_path / "x")


@pytest.mark.parametrize(
    "fields",
    [
        {"images": SMALL.images[:1]},
        {"classes": ("mug",)},
        {"probabilities": SMALL.probabilities * np.float32(np.nan)},
    ],
)
def test_a_recording_that_does_not_fit_together_is_no_evidence(tmp_path: Path, fields: dict) -> None:
    write_recording(tmp_path / "x", replace(SMALL, **fields))
    with pytest.raises(IntegrityError, match="restore it from a backup"):
        read_recording(tmp_path / "x")


@given(
    logits=st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=7),
    row=st.integers(0, 6),
    by=st.floats(-0.2, 0.2),
)
def test_a_difference_above_the_limit_is_always_told(logits: list[float], row: int, by: float) -> None:
    probabilities = np.exp(np.array(logits, np.float64))
    probabilities /= probabilities.sum()
    classes = tuple(f"class {i}" for i in range(len(logits)))
    answered = probabilities.copy()
    answered[row % len(logits)] += by
    order = np.argsort(-answered, kind="stable")[:5]
    answer = {"predictions": [{"label": classes[i], "probability": float(answered[i])} for i in order]}
    kept = Recording(
        sample_ids=("a",), images=(b"",), probabilities=probabilities[None], classes=classes, model_digest=""
    )
    found = recordings._difference(answer, kept, 0)
    shown = max(abs(answered[i] - probabilities[i]) for i in order)
    same_best = probabilities[order[0]] >= probabilities.max() - TIE
    if isinstance(found, str):
        assert shown > TOLERANCE or not same_best
    else:
        assert same_best
        assert found == shown
        assert found <= TOLERANCE
