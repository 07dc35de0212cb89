"""Which answers are right, and whether a server still gives them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.core.errors import IntegrityError
from components.core.samples import SampleSet
from components.core.workloads import Parity
from components.serving.asking import ask_all
from detent_pairs.verifier import load, score

DOUBTFUL, TOLERANCE = 0.005, 1e-4  # a score this close to the threshold is no answer; two scores this close are one


def judge(artefact: Path, samples: SampleSet, *, cache: Path) -> pa.Table:
    """A verdict a pair; none where the score is close to the threshold."""
    (matrix, threshold), asked = load(artefact), samples.table(["sample_id", "truth"])
    scores = score(matrix, samples.encoded())
    said = np.where(scores >= threshold, "same", "different")
    verdict = np.where(abs(scores - threshold) < DOUBTFUL, -1, said == asked["truth"].to_numpy())
    return pa.table({"sample_id": asked["sample_id"], "verdict": verdict, "score": scores, "prediction": said})


def record(artefact: Path, samples: SampleSet, *, num_samples: int, out: Path, cache: Path) -> None:
    """Keep the first pairs as they are encoded, with their scores."""
    pairs, (matrix, _) = samples.encoded()[:num_samples], load(artefact)
    a, b = zip(*pairs, strict=True)
    pq.write_table(pa.table({"a": a, "b": b, "score": score(matrix, pairs)}), out)


def compare(port: int, recording: Path) -> Parity:
    """Ask `POST /verify` again: every score must be what it was."""
    kept = pq.read_table(recording)
    answers = ask_all(port, "/verify", kept.select(["a", "b"]).to_pylist())
    off = np.abs(np.array([answer["score"] for answer in answers]) - kept["score"].to_numpy())
    if off.max() > TOLERANCE:
        raise IntegrityError(f"{(off > TOLERANCE).sum()} of {len(off)} pairs score otherwise than recorded")
    return Parity(num_samples=len(off), max_difference=float(off.max()), tolerance=TOLERANCE)
