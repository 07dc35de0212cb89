"""Takes in a model from elsewhere as the one to beat, until a release of our own is champion.

It becomes a model folder like any other in the baseline, so that candidates can hold it, learn from it, and are gated
by their negative flips against it. The journal knows no champion all the same: it names only what was promoted here.
"""

from __future__ import annotations

from pathlib import Path


def take_in_incumbent(path: Path, out: Path) -> str:
    """Write the model at `path` into the model folder `out` and return its digest.

    `path` is a model folder of ours, or a .safetensors, .onnx or .pt2 file with its card (`models.incumbents`).
    SourceError when there is nothing to load, DataError when card, weights and program do not fit together.
    """
    from components.models.artefacts import save_model
    from components.models.foreign.incumbents import load_incumbent

    model = load_incumbent(path)
    return save_model(out, model.network, model.spec)
