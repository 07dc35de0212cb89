"""Which answers are right, and whether a server still gives them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.core.samples import SampleSet
from components.core.workloads import Parity
from components.serving.asking import agree, ask_all
from detent_pairs.verifier import load, score


def judge(artefact: Path, samples: SampleSet, *, cache: Path) -> pa.Table:
    """A verdict a pair; none where the score lies too close to the threshold."""
    (matrix, threshold), asked = load(artefact), samples.table(["sample_id", "truth"])
    scores = score(matrix, samples.encoded())
    said = np.where(scores >= threshold, "same", "different")
    verdict = np.where(abs(scores - threshold) < 0.005, -1, said == asked["truth"].to_numpy())
    return pa.table({"sample_id": asked["sample_id"], "verdict": verdict, "score": scores, "prediction": said})


def record(artefact: Path, samples: SampleSet, *, num_samples: int, out: Path, cache: Path) -> None:
    """Keep the first pairs as they are encoded, with their scores."""
    pairs, (matrix, _) = samples.encoded()[:num_samples], load(artefact)
    names, (a, b) = samples.table(["sample_id"])["sample_id"][: len(pairs)], zip(*pairs, strict=True)
    pq.write_table(pa.table({"sample_id": names, "a": a, "b": b, "score": score(matrix, pairs)}), out)


def compare(port: int, recording: Path) -> Parity:
    """Ask `POST /verify` again: every score must be what it was."""
    kept = pq.read_table(recording).to_pylist()
    answers = ask_all(port, "/verify", [{"a": row["a"], "b": row["b"]} for row in kept])
    off = {row["sample_id"]: abs(answer["score"] - row["score"]) for row, answer in zip(kept, answers, strict=True)}
    return agree(off, tolerance=1e-4)
