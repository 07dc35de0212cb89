"""Renders a scene with Blender's Cycles on the processor; run by a Python that has `bpy`, not by ours.

    BPY_PYTHON tests/benchmarks/imaging/blender_peer.py FOLDER

FOLDER holds scene.obj, light.hdr and order.json; pictures go to NUMBER_OF_PATHS.exr, their times to seconds.json.
"""

import json
import sys
import time
from pathlib import Path

import bpy
from mathutils import Matrix


def main(folder: Path) -> None:
    import addon_utils  # bpy puts it on the path

    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable("cycles")
    scene = bpy.context.scene
    bpy.ops.wm.obj_import(filepath=str(folder / "scene.obj"), forward_axis="Y", up_axis="Z")
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.matrix_world = Matrix(order["camera"])
    camera.data.sensor_width, camera.data.lens = 36.0, order["focal_mm"]
    camera.data.clip_start, camera.data.clip_end = 1e-3, 1e4
    scene.collection.objects.link(camera)
    scene.camera = camera
    light_up(scene, folder / "light.hdr")
    settle(scene, order)
    seconds = {}
    for paths in (order["paths"][0], *order["paths"]):  # the first one twice: it loads the scene
        scene.cycles.samples = paths
        scene.render.filepath = str(folder / f"{paths}.exr")
        started = time.perf_counter()
        bpy.ops.render.render(write_still=True)
        seconds[str(paths)] = time.perf_counter() - started
    (folder / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def light_up(scene: "bpy.types.Scene", panorama: Path) -> None:
    """The panorama as the world."""
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    nodes = world.node_tree.nodes
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = bpy.data.images.load(str(panorama))
    shine = next((node for node in nodes if node.type == "BACKGROUND"), None) or nodes.new("ShaderNodeBackground")
    out = next((node for node in nodes if node.type == "OUTPUT_WORLD"), None) or nodes.new("ShaderNodeOutputWorld")
    world.node_tree.links.new(picture.outputs["Color"], shine.inputs["Color"])
    world.node_tree.links.new(shine.outputs["Background"], out.inputs["Surface"])


def settle(scene: "bpy.types.Scene", order: dict) -> None:
    """Plain path tracing: a fixed number of paths, no denoiser, nothing kept from the last picture but the scene."""
    scene.render.engine = "CYCLES"
    cycles, render = scene.cycles, scene.render
    cycles.device, cycles.use_adaptive_sampling, cycles.use_denoising = "CPU", False, False
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = order["max_bounces"]
    cycles.sample_clamp_indirect = 0.0
    render.resolution_x = render.resolution_y = order["size_px"]
    render.resolution_percentage = 100
    render.film_transparent, render.use_persistent_data = True, True
    render.filter_size = 0.01
    image = render.image_settings
    image.file_format, image.color_mode, image.color_depth = "OPEN_EXR", "RGBA", "32"


main(Path(sys.argv[1]))
