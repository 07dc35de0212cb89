import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError, IntegrityError, UnavailableError
from components.packaging import parity
from components.packaging.parity import Reference, check_parity, check_server, predict_reference
from components.serving.server import free_port


def change_weight(model_folder: Path, target: Path, *, by: float) -> Path:
    """A copy of a model in which one value of one tensor is another."""
    shutil.copytree(model_folder, target)
    tensors = safetensors.numpy.load_file(target / "model.safetensors")
    name = next(name for name, tensor in sorted(tensors.items()) if name.endswith("bias") and tensor.shape == (4,))
    tensors[name] = tensors[name].copy()
    tensors[name][0] += np.float32(by)
    safetensors.numpy.save_file(tensors, target / "model.safetensors")
    return target


def test_the_bento_of_the_evaluated_model_passes(port: int, reference: Reference) -> None:
    report = check_server(port, reference)
    assert report.num_samples == 20
    assert report.max_difference < 1e-4
    assert set(report.to_json()) == {"num_samples", "max_difference", "tolerance"}


@pytest.mark.parametrize(("by", "reason"), [(5.0, "answers '.*', evaluated was 'mug'"), (0.02, "probabilities differ")])
def test_one_changed_weight_is_caught_with_the_samples(
    port: int, model_folder: Path, samples, tmp_path: Path, by: float, reason: str
) -> None:
    evaluated = change_weight(model_folder, tmp_path / "other", by=by)
    with pytest.raises(IntegrityError, match=reason) as caught:
        check_server(port, predict_reference(evaluated, samples))
    assert any(sample_id in str(caught.value) for sample_id, _ in samples)


def test_a_weight_changed_too_little_to_see_is_still_another_model(
    port: int, model_folder: Path, samples, tmp_path: Path
) -> None:
    evaluated = change_weight(model_folder, tmp_path / "other", by=1e-6)
    with pytest.raises(IntegrityError, match="serves model"):
        check_server(port, predict_reference(evaluated, samples))


def test_a_permuted_class_list_is_caught(port: int, reference: Reference) -> None:
    permuted = replace(reference, classes=(*reference.classes[1:], reference.classes[0]))
    with pytest.raises(IntegrityError, match=r"20 of 20 samples.*and 10 more"):
        check_server(port, permuted)


def test_an_image_that_cannot_be_decoded_is_named_with_the_answer(port: int, reference: Reference) -> None:
    broken = replace(reference, images=(*reference.images[:-1], b"no image"))
    with pytest.raises(IntegrityError, match=f"1 of 20 samples: {reference.sample_ids[-1]} .HTTP 400"):
        check_server(port, broken)


def test_no_server_is_named_sample_by_sample(reference: Reference) -> None:
    with pytest.raises(IntegrityError, match="no answer"):
        check_server(free_port(), reference)


def test_a_changed_bento_is_not_even_started(bento, reference: Reference, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bento.path, changed)
    (changed / "src" / "components" / "serving" / "batching.py").write_text("")
    with pytest.raises(IntegrityError, match="changed after it was built"):
        check_parity(replace(bento, path=changed), reference)


def test_a_server_that_is_late_is_stopped(bento, reference: Reference) -> None:
    with pytest.raises(UnavailableError, match=r"did not start.*not ready after 0\.05 s"):
        check_parity(bento, reference, timeout_s=0.05)


def test_a_reference_that_is_no_evidence_is_refused(bento, reference: Reference) -> None:
    empty = Reference(
        sample_ids=(), images=(), probabilities=np.empty((0, 4), np.float32), classes=reference.classes, model_digest=""
    )
    with pytest.raises(DataError, match="at least one sample"):
        check_parity(bento, empty)
    with pytest.raises(DataError, match="19 images"):
        check_parity(bento, replace(reference, images=reference.images[:-1]))
    with pytest.raises(DataError, match="NaN"):
        check_parity(bento, replace(reference, probabilities=reference.probabilities * np.float32(np.nan)))


@given(
    logits=st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=7),
    row=st.integers(0, 6),
    by=st.floats(-0.2, 0.2),
)
def test_a_difference_above_the_limit_is_always_told(logits: list[float], row: int, by: float) -> None:
    probabilities = np.exp(np.array(logits, np.float64))
    probabilities /= probabilities.sum()
    classes = tuple(f"class {i}" for i in range(len(logits)))
    served = probabilities.copy()
    served[row % len(logits)] += by
    order = np.argsort(-served, kind="stable")[:5]
    answer = {"predictions": [{"label": classes[i], "probability": float(served[i])} for i in order]}
    reference = Reference(
        sample_ids=("a",), images=(b"",), probabilities=probabilities[None], classes=classes, model_digest=""
    )
    found = parity._difference(answer, reference, 0)
    shown = max(abs(served[i] - probabilities[i]) for i in order)
    same_best = probabilities[order[0]] >= probabilities.max() - parity.TIE
    if isinstance(found, str):
        assert shown > parity.TOLERANCE or not same_best
    else:
        assert same_best
        assert found == shown
        assert found <= parity.TOLERANCE
