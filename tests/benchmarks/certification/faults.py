"""Who catches what: planted regressions against the gate, MLflow's validation and a McNemar test alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core import verdicts
from components.selection.gate import gate, paired
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.policy import Policy

N, NUM_CLASSES, ACCURACY, GAIN = 5000, 10, 0.90, 0.02
HARMLESS = ("identical models", "a mere reseed (0.8% both ways)")
FAULTS = ("two classes swapped in one slice", "a slice of 4% lost", "uniform noise: 4% break", *HARMLESS)
POLICY = Policy(mode="open", limit=0.02, slices={"limit": 0.10}, improvement={"rule": "non-inferior", "margin": 0.02})


def blocked(fault: str, *, repeats: int, seed: int) -> dict[str, float]:
    """The share of repeats in which each gate did not let the candidate through."""
    counts = dict.fromkeys(("detent", "mlflow", "mcnemar"), 0)
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat, FAULTS.index(fault)])
        label, old, new, light = _plant(fault, rng)
        counts["detent"] += _detent(label, old, new, light) != "PROMOTE"
        counts["mlflow"] += _mlflow(float((old == label).mean()), float((new == label).mean()))
        gained, lost = int(((old != label) & (new == label)).sum()), int(((old == label) & (new != label)).sum())
        counts["mcnemar"] += paired.mcnemar_exact(lost, gained) <= 0.05
    return {gate_name: count / repeats for gate_name, count in counts.items()}


def _plant(fault: str, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    label = rng.integers(0, NUM_CLASSES, N)
    light = rng.choice(5, N, p=[0.04, 0.21, 0.25, 0.25, 0.25])
    right = rng.random(N) < ACCURACY
    other = (label + rng.integers(1, NUM_CLASSES, N)) % NUM_CLASSES
    old = np.where(right, label, other)
    new = old.copy()
    if fault == HARMLESS[0]:
        return label, old, new, light
    gain = 0.008 if fault == HARMLESS[1] else GAIN + 0.04
    new = np.where(~right & (rng.random(N) < gain / (1 - ACCURACY)), label, new)
    if fault == FAULTS[0]:
        swapped = (light == 1) & (label < 2)
        new = np.where(swapped, 1 - label, new)
    elif fault == FAULTS[1]:
        new = np.where(light == 0, (label + 1) % NUM_CLASSES, new)
    else:
        share = 0.04 if fault == FAULTS[2] else 0.008
        new = np.where(right & (rng.random(N) < share / ACCURACY), (label + 1) % NUM_CLASSES, new)
    return label, old, new, light


def _detent(label: NDArray[np.int64], old: NDArray[np.int64], new: NDArray[np.int64], light: NDArray[np.int64]) -> str:
    def table(prediction: NDArray[np.int64]) -> pa.Table:
        columns = {
            "sample_id": np.char.mod("%06d", np.arange(N)),
            "verdict": (prediction == label).astype(np.int8),
            "score": np.full(N, 0.5, np.float32),
            "prediction": np.char.mod("%d", prediction),
            "s_class": np.char.mod("%d", label),
            "s_light": np.char.mod("%d", light),
        }
        return pa.table(columns)

    tables = [
        verdicts.stamp(table(old), model="old", dataset="d"),
        verdicts.stamp(table(new), model="new", dataset="d"),
    ]
    evidence = Evidence(
        candidate="new", candidate_digest="new", champion_digest="old", certify=Pair(old=tables[0], new=tables[1])
    )
    return gate.decide(evidence, POLICY, ledger=None).outcome


def _mlflow(old_accuracy: float, new_accuracy: float) -> bool:
    """Whether MLflow refuses: accuracy may fall by at most two points against the baseline."""
    import logging

    import mlflow
    from mlflow.models.evaluation import EvaluationResult, MetricThreshold
    from mlflow.models.evaluation.validation import ModelValidationFailedException

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    threshold = MetricThreshold(threshold=old_accuracy - 0.02, greater_is_better=True)
    results = [EvaluationResult(metrics={"accuracy": value}, artifacts={}) for value in (new_accuracy, old_accuracy)]
    try:
        mlflow.validate_evaluation_results(
            candidate_result=results[0], baseline_result=results[1], validation_thresholds={"accuracy": threshold}
        )
    except ModelValidationFailedException:
        return True
    return False
