"""What the same pictures cost from path tracers, at the quality of relighting: Mitsuba's own, and Blender's Cycles.

Equal quality: the number of paths a pixel at which a tracer's PSNR to its own converged picture is that of the relit
picture to Mitsuba's. PSNR rises by a straight line over the logarithm of paths, so the number is read off between
measured points. Timed is tracing alone, with the scene built, warm and the light in place; setting the object into a
background, the camera and encoding, which our own time contains, come on top of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.files import write_json
from components.core.progress import track
from components.synthesis.light.lobes import (
    NUM_LOBES,
    SUN_HALF_ANGLE_DEG,
    SUN_SOLID_ANGLE_SR,
    evaluate,
    panorama_directions,
)
from components.synthesis.light.lobes import sun_directions as suns_of_the_basis
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.models import Model, Surface, srgb_from_linear
from components.synthesis.renders.transfers import Tracing
from tests.benchmarks.figures import SHORT
from tests.benchmarks.imaging.lab import HOME, SEED
from tests.benchmarks.imaging.lighted import (
    KINDS,
    DirectTracer,
    Picture,
    Subject,
    draw_lights,
    emitters,
    psnr,
    subjects,
)
from tests.benchmarks.imaging.reference import relit, trace_view

SIZE_PX = 128
LADDER = (4, 16, 64, 144) if SHORT else (4, 16, 36, 64, 144, 288)
REFERENCE_PATHS = 576 if SHORT else 1152
NUM_SUBJECTS, NUM_KINDS = (2, 1) if SHORT else (5, 2)
_REPEATS = 3
_CYCLES_TIMEOUT_S = 1500


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A tracer at equal quality, in the mean over pictures: seconds a picture, paths a pixel, and the PSNR reached."""

    seconds: float
    num_paths: float
    decibels: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """A view in a light, Mitsuba's converged picture of it, and how near to that the relit picture comes."""

    subject: Subject
    lights: NDArray[np.float32]
    reference: Picture
    decibels: float


def direct_cost(targets: Sequence[Target]) -> Cost:
    """What Mitsuba's path tracer takes for pictures as good as relit ones."""
    costs = []
    for target in track(targets, "Tracing directly"):
        tracer = DirectTracer(target.subject, emitters(target.subject, target.lights), size_px=SIZE_PX)
        qualities = [psnr(tracer.render(paths), target.reference) for paths in LADDER]
        costs.append(_at_equal_quality(qualities, target.decibels, lambda paths, tracer=tracer: _timed(tracer, paths)))
    return _mean(costs)


def cycles_cost(targets: Sequence[Target]) -> Cost | str:
    """The same for Cycles, in the Python that BPY_PYTHON names (or this one); in words why it could not be asked."""
    python = os.environ.get("BPY_PYTHON", sys.executable)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if subprocess.run([python, "-c", "import bpy"], env=environment, capture_output=True, check=False).returncode:
        return "bpy is not installed; name a Python that has it in BPY_PYTHON"
    costs, script = [], Path(__file__).with_name("blender_peer.py")
    for target in track(targets, "Rendering with Cycles"):
        folder = HOME / "cycles"
        shutil.rmtree(folder, ignore_errors=True)
        _lay_out(folder, target.subject, target.lights)
        done = subprocess.run(
            [python, str(script), str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_CYCLES_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            return f"bpy failed: {done.stderr.strip()[-200:]}"
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        pictures = [_read_exr(folder / f"{paths}.exr") for paths in (*LADDER, REFERENCE_PATHS)]
        qualities = [psnr(picture, pictures[-1]) for picture in pictures[:-1]]
        points = [np.interp(np.log(p), np.log(LADDER), np.log([seconds[str(q)] for q in LADDER])) for p in LADDER]
        costs.append(_at_equal_quality(qualities, target.decibels, lambda paths, at=points: _interpolated(paths, at)))
    shutil.rmtree(HOME / "cycles")
    return _mean(costs)


def find_targets() -> list[Target]:
    """Some views in some lights, with the PSNR of the relit pictures."""
    tracing, found = Tracing(size_px=SIZE_PX, num_paths=RendersConfig().num_paths, seed=SEED), []
    for number, subject in enumerate(track(subjects(NUM_SUBJECTS), "Tracing references", total=NUM_SUBJECTS)):
        transfer = trace_view(subject.model, subject.view, tracing)
        for kind in KINDS[:NUM_KINDS]:
            lights = draw_lights(kind, subject, number)
            tracer = DirectTracer(subject, emitters(subject, lights), size_px=SIZE_PX)
            reference = tracer.render(REFERENCE_PATHS, seed=99)
            quality = psnr(relit(transfer, lights), reference)
            found.append(Target(subject=subject, lights=lights, reference=reference, decibels=quality))
    return found


def _at_equal_quality(qualities: Sequence[float], target: float, seconds: Callable[[float], float]) -> Cost:
    """The cost where the fitted line reaches the target; never fewer paths than the least that was measured."""
    slope, offset = np.polyfit(np.log2(LADDER), qualities, 1)
    wanted = float(np.clip(2 ** ((target - offset) / max(slope, 0.1)), LADDER[0], 4 * LADDER[-1]))
    return Cost(seconds=seconds(wanted), num_paths=wanted, decibels=target)


def _timed(tracer: DirectTracer, paths: float) -> float:
    number = max(1, round(paths))
    tracer.render(number, seed=3)  # compiles
    times = []
    for turn in range(_REPEATS):
        started = time.perf_counter()
        tracer.render(number, seed=4 + turn)
        times.append(time.perf_counter() - started)
    return median(times)


def _interpolated(paths: float, log_seconds: Sequence[float]) -> float:
    """Seconds at so many paths; beyond the last measured point they grow in proportion."""
    if paths > LADDER[-1]:
        return float(np.exp(log_seconds[-1])) * paths / LADDER[-1]
    return float(np.exp(np.interp(np.log(paths), np.log(LADDER), log_seconds)))


def _mean(costs: Sequence[Cost]) -> Cost:
    return Cost(
        seconds=mean(cost.seconds for cost in costs),
        num_paths=mean(cost.num_paths for cost in costs),
        decibels=mean(cost.decibels for cost in costs),
    )


def _lay_out(folder: Path, subject: Subject, lights: Any) -> None:
    """The scene as files that Blender reads: an OBJ with its materials, a panorama, and the camera."""
    import cv2

    _write_obj(folder, subject.model)
    cv2.imwrite(str(folder / "light.hdr"), np.ascontiguousarray(_panorama(lights)[..., ::-1]))
    view, middle = subject.view, np.array([0.0, 0.0, subject.model.size_m[2] / 2])
    right, up, forward = view.frame
    camera = np.eye(4)
    camera[:3, 0], camera[:3, 1], camera[:3, 2] = right, up, -forward
    camera[:3, 3] = middle + view.toward * view.distance_m
    order = {"camera": camera.tolist(), "focal_mm": view.focal_mm, "size_px": SIZE_PX, "max_bounces": 5}
    write_json(folder / "order.json", order | {"paths": [*LADDER, REFERENCE_PATHS]})


def _panorama(lights: Any, height: int = 512) -> Any:
    """The light with its suns as a lat-long panorama, turned so that its middle column is Blender's +x."""
    directions = panorama_directions(height, 2 * height)
    pixels = evaluate(lights[:NUM_LOBES], directions.reshape(-1, 3)).reshape(height, 2 * height, 3)
    edge = np.cos(np.radians(SUN_HALF_ANGLE_DEG))
    for irradiance, toward in zip(lights[NUM_LOBES:], suns_of_the_basis(), strict=True):
        pixels[directions @ toward > edge] += irradiance / SUN_SOLID_ANGLE_SR
    return np.roll(pixels, -height // 2, axis=1).astype(np.float32)


def _write_obj(folder: Path, model: Model) -> None:
    import cv2

    folder.mkdir(parents=True)
    lines, looks, start = ["mtllib scene.mtl"], [], 1
    for number, surface in enumerate(model.surfaces):
        looks += _look(surface, number)
        if surface.material.base_texture is not None:
            texture = np.ascontiguousarray(surface.material.base_texture[..., :3][..., ::-1])
            cv2.imwrite(str(folder / f"{number}.png"), texture)
        uvs = surface.uvs if surface.uvs is not None else np.zeros((len(surface.vertices), 2))
        lines += ["v {:.6f} {:.6f} {:.6f}".format(*row) for row in surface.vertices.tolist()]
        lines += ["vt {:.6f} {:.6f}".format(*row) for row in np.asarray(uvs).tolist()]
        lines += ["vn {:.5f} {:.5f} {:.5f}".format(*row) for row in surface.normals.tolist()]
        lines.append(f"usemtl look{number}")
        lines += ["f " + " ".join(f"{at}/{at}/{at}" for at in row) for row in (surface.faces + start).tolist()]
        start += len(surface.vertices)
    (folder / "scene.obj").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "scene.mtl").write_text("\n".join(looks) + "\n", encoding="utf-8")


def _look(surface: Surface, number: int) -> list[str]:
    look = surface.material
    colour = " ".join(f"{value:.5f}" for value in srgb_from_linear(np.asarray(look.base_colour)).tolist())
    lines = [f"newmtl look{number}", f"Kd {colour}", f"Pr {look.roughness}", f"Pm {look.metallic}"]
    return [*lines, f"map_Kd {number}.png"] if look.base_texture is not None else lines


def _read_exr(path: Path) -> Picture:
    import mitsuba as mi

    if mi.variant() is None:
        mi.set_variant("scalar_rgb")
    bitmap = mi.Bitmap(str(path)).convert(mi.Bitmap.PixelFormat.RGBA, mi.Struct.Type.Float32, False)
    return np.array(bitmap, np.float32)
