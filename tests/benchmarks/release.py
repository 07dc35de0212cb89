"""The main job on real photos: time and memory of the chain, and what each kind of image is worth.

    make bench-release            about 40 minutes on two cores: three seeds, full training
    SHORT=1 make bench-release    under ten minutes: one seed, a fifth of the training; accuracy goals stay open

A killed run goes on: what it trained is kept under `$DETENT_HOME/bench/release` until the figures are written.

The data is the Grocery Store Dataset (Klasson et al. 2019): the catalogue's 81 icons and 2,640 phone photos; 296
photos (val) are held back from everything and only scored here. The peer is a plain convolutional network of
1.1 million parameters, trained on the same train share for as many epochs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from components.core.files import read_json, write_json, write_text
from components.core.progress import track
from components.core.stages import read_report
from components.core.workspace import STAGES, Workspace
from components.datasets.pixels import PixelStore
from components.datasets.sources import ingest
from components.models.artefacts import load_model
from components.models.prediction import predict
from components.tracking.runs import Tracker
from components.training.config import Recipe, TrainingConfig
from components.training.training import TrainingInputs, train
from components.workloads.classification.params import ClassificationParams
from components.workloads.products.workload import PHOTOS, WORKLOAD
from flows.layout import filled_params, lay_out
from tests.benchmarks.figures import SHORT, Figure, keep, show

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GROCERY = SHARED / "grocery"
SEEDS = [0] if SHORT else [0, 1, 2]
EPOCHS = 8 if SHORT else 40
SIZE_PX = 64 if SHORT else 96
# epochs that take about as many steps, since an epoch has 28, 38 and 50 of them
RECIPES: dict[str, dict[str, Any]] = {
    "photos only": {"use": "photos", "epochs": EPOCHS},
    "both": {"use": "both", "epochs": EPOCHS * 3 // 4},
    "synthetic only": {"use": "synthetic", "epochs": EPOCHS * 9 // 16},
}
PEER = "the peer"


def main() -> None:
    """Measure, print and write."""
    if not GROCERY.is_dir():
        sys.exit(f"{GROCERY} is missing: get the Grocery Store Dataset (github.com/marcusklasson/GroceryStoreDataset)")
    figures = [show(help_time())]
    name = "release-short" if SHORT else "release"
    kept = Path(os.environ.get("DETENT_HOME", ".detent")).resolve() / "bench" / name
    workspace = Workspace(root=kept / "workspace", home=kept / "home")
    lay_out(workspace.root, WORKLOAD, git=False)
    chain = remembered(kept / "chain.json", lambda: [asdict(figure) for figure in measure_chain(workspace)])
    figures += [show(Figure(**row)) for row in chain]
    figures += [show(figure) for figure in measure_accuracy(workspace, kept)]
    keep("release", figures)
    shutil.rmtree(kept)


def remembered(path: Path, measure: Callable[[], Any]) -> Any:
    """What an earlier, killed run of this benchmark measured already, or the measurement made now."""
    if not path.is_file():
        write_json(path, {"measured": measure()})
    return read_json(path)["measured"]


def help_time() -> Figure:
    """The median of seven runs of `detent --help`."""
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "flows", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    value = float(np.median(times))
    return Figure(name="detent --help, seconds", value=value, goal="< 0.3", met=value < 0.3)


def measure_chain(workspace: Workspace) -> list[Figure]:
    """One release on the real catalogue as a user runs it, then the same again with nothing changed."""
    recipe = {"widths": [32, 64, 128, 256], "blocks": [1, 1, 1, 1], "epochs": EPOCHS}
    training = {"size_px": SIZE_PX, "candidates": {"plain": recipe}}
    approval = {"name": "bench", "auto": True}
    selection = {"policy": {"bootstrap_accuracy": 0.05 if SHORT else 0.3}}
    sections = {"training": training, "approval": approval, "selection": selection}
    write_text(workspace.params, filled_params(WORKLOAD, sections))
    wall_s, peak_mib = _release(workspace, "--photos", str(GROCERY / "train"))
    again_s, _ = _release(workspace, "--photos", str(GROCERY / "train"))
    seconds = _stage_seconds(workspace)
    made = read_report(workspace.stage("synthesis")).metrics
    share = 1 - sum(seconds.values()) / wall_s
    figures = [Figure(name=f"{stage}, seconds", value=value) for stage, value in seconds.items()]
    orchestration = None if SHORT else share < 0.1
    return [
        *figures,
        Figure(name="the whole release, seconds", value=wall_s, goal="< 900", met=None if SHORT else wall_s < 900),
        Figure(name="share that orchestration takes", value=share, goal="< 0.1", met=orchestration),
        Figure(name="run again with nothing changed, seconds", value=again_s, goal="< 8", met=again_s < 8),
        Figure(name="images synthesised per second", value=made["num_images"] / seconds["synthesis"]),
        Figure(name="peak memory of the release, MiB", value=peak_mib),
    ]


def _stage_seconds(workspace: Workspace) -> dict[str, float]:
    """What each stage's component took, by the release's own record in MLflow."""
    tracker = Tracker.open(f"sqlite:///{workspace.home}/mlflow/mlflow.db", home=workspace.home)
    found = [tracker.finished({"detent.stage": stage, "mlflow.runName": stage}) for stage in STAGES]
    return {stage: run.data.metrics["stage_seconds"] for stage, run in zip(STAGES, found, strict=True) if run}


def _release(workspace: Workspace, *options: str) -> tuple[float, float]:
    """Run `detent run release` as a process of its own; returns wall seconds and peak MiB."""
    command = [sys.executable, "-m", "flows", "run", "release", "--workload", "products", "--json"]
    sources = ["--catalog", str(GROCERY / "catalog"), "--backgrounds", str(SHARED / "backgrounds"), *options]
    env = {**os.environ, "DETENT_HOME": str(workspace.home), "DETENT_WORKSPACE": str(workspace.root)}
    started = time.perf_counter()
    done = subprocess.run([*command, *sources], env=env, check=False, stdout=subprocess.PIPE)
    wall_s = time.perf_counter() - started
    if done.returncode not in (0, 3):
        sys.exit(f"the release failed with exit code {done.returncode}")
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    click_line = json.loads(done.stdout)
    print(f"    release: {click_line['decisions']} in {wall_s:.0f} s", file=sys.stderr)  # noqa: T201
    return wall_s, peak_kib / 1024


def measure_accuracy(workspace: Workspace, kept: Path) -> list[Figure]:
    """Accuracy on the held-back photos for each kind of training image, and of the peer, over the seeds."""
    held_back = workspace.home / "val"
    ingest(str(GROCERY / "val"), out=held_back, source=PHOTOS)
    scores: dict[str, list[float]] = {name: [] for name in [*RECIPES, PEER]}
    jobs = [(name, seed) for seed in SEEDS for name in scores]
    # a network this small trains faster on one core each than on all cores in turn
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        futures = [pool.submit(_score, workspace, held_back, kept, job) for job in jobs]
        for (name, _), future in zip(jobs, track(futures, "training"), strict=True):
            scores[name].append(future.result())
    peer = mean(scores[PEER])
    figures = [
        Figure(
            name=f"accuracy on held-back photos, {name}",
            value=mean(values),
            spread=f"+-{stdev(values):.3f} over seeds" if len(values) > 1 else "one seed",
            seeds=SEEDS,
            peer="plain convnet, photos only" if name != PEER else "",
            ratio=mean(values) / peer if name != PEER else None,
            goal=">= peer" if name == "photos only" else "",
            met=mean(values) >= peer if name == "photos only" and not SHORT else None,
        )
        for name, values in scores.items()
    ]
    gap = mean(scores["both"]) - mean(scores["synthetic only"])
    return [*figures, Figure(name="points that synthetic images alone cost", value=100 * gap, seeds=SEEDS)]


def _score(workspace: Workspace, held_back: Path, kept: Path, job: tuple[str, int]) -> float:
    torch.set_num_threads(1)
    name, seed = job
    measure = _train_peer if name == PEER else partial(_train_ours, name)
    return float(remembered(kept / f"{name}-{seed}.json", partial(measure, workspace, held_back, seed)))


def _inputs(workspace: Workspace) -> TrainingInputs:
    validated = workspace.stage("validation")
    return TrainingInputs(
        train=validated / "photos" / "train",
        search=validated / "photos" / "search",
        synthetic=workspace.stage("synthesis"),
        classes=tuple(json.loads((validated / "classes.json").read_text(encoding="utf-8"))),
        champion=None,
        code="benchmark",
        cache=workspace.cache,
        scratch=workspace.scratch,
    )


def _train_ours(name: str, workspace: Workspace, held_back: Path, seed: int) -> float:
    inputs = _inputs(workspace)
    shared = ClassificationParams().training.model_dump() | {
        "size_px": SIZE_PX,
        "candidates": {"only": Recipe(**RECIPES[name])},
    }
    out = workspace.home / f"{name}-{seed}"
    train(inputs, TrainingConfig(**shared), out=out, seed=seed)
    model = load_model(out / "only" / "model")
    store = PixelStore.open(held_back, size_px=SIZE_PX, cache=workspace.cache)
    guesses = predict(model, store.pixels).argmax(axis=1)
    return float(np.mean(guesses == store.label_indices(inputs.classes)))


def _train_peer(workspace: Workspace, held_back: Path, seed: int) -> float:
    """A plain network as one would write it in an afternoon: flips, shifts, one cycle, no mixing, no averaging."""
    inputs = _inputs(workspace)
    stores = [PixelStore.open(f, size_px=SIZE_PX, cache=workspace.cache) for f in (inputs.train, held_back)]
    (train_x, train_y), (test_x, test_y) = (
        (torch.from_numpy(np.array(s.pixels)).permute(0, 3, 1, 2), torch.from_numpy(s.label_indices(inputs.classes)))
        for s in stores
    )
    torch.manual_seed(seed)
    network = _peer_network(len(inputs.classes)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = EPOCHS * (len(train_y) // 64)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    pad = SIZE_PX // 12
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train_y))[: len(train_y) // 64 * 64].view(-1, 64):
            images = F.pad(train_x[rows].float() / 127.5 - 1, [pad] * 4, mode="reflect")
            top, left = torch.randint(0, 2 * pad + 1, (2,)).tolist()
            images = images[:, :, top : top + SIZE_PX, left : left + SIZE_PX]
            images = torch.where(torch.rand(64, 1, 1, 1) < 0.5, images, images.flip(3))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(network(images).float(), train_y[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.inference_mode():
        guesses = torch.cat([network(part.float() / 127.5 - 1).argmax(1) for part in test_x.split(64)])
    return float((guesses == test_y).float().mean())


def _peer_network(num_classes: int) -> nn.Module:
    widths = [3, 32, 64, 128, 256, 256]
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], num_classes))


if __name__ == "__main__":
    main()
