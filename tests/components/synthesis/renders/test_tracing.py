from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from components.core.errors import ConfigError, UnavailableError
from components.synthesis.builtin.parts import Finish, block, cushion
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, evaluate, sun_directions
from components.synthesis.renders.backends import Backend, available
from components.synthesis.renders.models import Material, Model, stand
from components.synthesis.renders.scenes import build_scene, sky
from components.synthesis.renders.tracing import trace_views, transfer_digest
from components.synthesis.renders.transfers import Tracing, View
from tests.benchmarks.imaging.reference import direct_render, model_from_parts, relit, trace_view

SCALAR = Backend(name="scalar")
FRONT = View(azimuth_deg=0, elevation_deg=0, distance_m=3.0, focal_mm=50)
SMALL = Tracing(size_px=24, num_paths=96, seed=3)


@pytest.fixture(scope="module")
def quick() -> Backend:
    """The fastest backend but scalar; its tests need one."""
    fast = [backend for backend in available() if backend.name != "scalar"]
    if not fast:
        pytest.skip("no vectorised backend works here (see components.synthesis.renders.backends.remedy)")
    return fast[0]


@pytest.fixture(autouse=True)
def plain_variant_afterwards() -> Iterator[None]:
    yield
    SCALAR.activate()


def box(colour: tuple[float, float, float] = (0.8, 0.5, 0.3)) -> Model:
    """A box one metre wide, 0.6 deep and 0.8 high, with a smaller one on it."""
    parts = [
        block((1, 0.6, 0.8), (0, 0, 0.4), Finish(colour=colour)),
        block((0.3, 0.3, 0.3), (0, 0, 0.95), Finish(colour=colour)),
    ]
    return model_from_parts(parts, name="box")


def white(**look: float) -> Model:
    ball = model_from_parts([cushion((1, 1, 1), (0, 0, 0), Finish(colour=(1, 1, 1)), sharpness=2)], name="ball")
    material = Material(base_colour=(1.0, 1.0, 1.0), **look)  # type: ignore[arg-type]
    return stand([replace(ball.surfaces[0], material=material)], name="ball")


def lights(seed: int = 0, sun: int | None = None) -> np.ndarray:
    found = np.zeros((NUM_LIGHTS, 3))
    found[:NUM_LOBES] = np.random.default_rng(seed).gamma(1, 0.3, (NUM_LOBES, 3))
    if sun is not None:
        found[NUM_LOBES + sun] = 1.5
    return found


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((one[where][:, :3].clip(0, 1) - other[where][:, :3].clip(0, 1)) ** 2)))


def test_white_solids_in_a_uniform_sky_return_all_of_it(quick: Backend) -> None:
    cube = model_from_parts([block((1, 1, 1), (0, 0, 0), Finish(colour=(1, 1, 1)))], name="cube")
    matt = Material(base_colour=(1.0, 1.0, 1.0), specular=False)
    cube = stand([replace(cube.surfaces[0], material=matt)], name="cube")
    for model, worst in ((cube, 0.01), (white(specular=False), 0.2)):  # a ball's rim has normals that no facet has
        transfer = trace_view(model, replace(FRONT, azimuth_deg=30, elevation_deg=30), SMALL, backend=quick)
        covered = transfer.alpha.astype(float).reshape(-1)[transfer.pixels]
        furnace = transfer.response[:, :NUM_LOBES].astype(float).sum(axis=1) / covered[:, None]
        assert np.abs(furnace - 1).max() < worst and furnace.max() < 1.005
        assert furnace.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("look", [{"roughness": 0.2}, {"roughness": 1.0}, {"metallic": 1.0, "roughness": 0.5}])
def test_no_surface_creates_energy(quick: Backend, look: dict[str, float]) -> None:
    transfer = trace_view(white(**look), FRONT, SMALL, backend=quick)
    covered = transfer.alpha.astype(float).reshape(-1)[transfer.pixels]
    returned = transfer.response[:, :NUM_LOBES].astype(float).sum(axis=1).mean(axis=1)
    assert (returned <= covered * 1.06).all() and returned.sum() <= covered.sum()
    assert returned.sum() > 0.85 * covered.sum()


@pytest.mark.parametrize("sun", [None, 9])
def test_relit_is_what_direct_path_tracing_gives(quick: Backend, sun: int | None) -> None:
    view = View(azimuth_deg=35, elevation_deg=25, distance_m=3.2, focal_mm=50, roll_deg=20)
    transfer = trace_view(box(), view, replace(SMALL, num_paths=384), backend=quick)
    light = lights(sun=sun)
    direct = direct_render(box(), view, light, replace(SMALL, num_paths=256), backend=quick)
    covered = transfer.alpha.astype(float) > 0
    assert np.abs(direct[..., 3] - transfer.alpha).max() < 0.15 and covered.sum() > 60
    assert psnr(relit(transfer, light), direct, covered) > 33
    assert relit(transfer, light)[covered].mean() == pytest.approx(direct[covered].mean(), rel=0.01)
    turned = lights(sun=None if sun is None else 2)[::-1].copy() if sun is None else lights(sun=2)
    assert psnr(relit(transfer, turned), direct, covered) < 30, "another light must not look the same"


def test_the_scalar_variant_agrees_within_noise(quick: Backend) -> None:
    tracing = Tracing(size_px=10, num_paths=64, seed=1, max_bounces=3)
    view = View(azimuth_deg=20, elevation_deg=30, distance_m=3.0)
    slow = trace_view(box(), view, tracing, backend=SCALAR)
    fast = trace_view(box(), view, replace(tracing, num_paths=384), backend=quick)
    whole = (fast.alpha == 1) & (slow.alpha == 1)
    assert np.abs(slow.alpha - fast.alpha).max() < 0.12 and whole.sum() > 8
    assert np.abs(slow.depth - fast.depth)[whole].max() < 0.1
    assert (slow.normals * fast.normals)[whole].sum(axis=-1).min() > 0.9
    for light in (lights(), lights(sun=7)):
        assert psnr(relit(slow, light), relit(fast, light), whole) > 26
        assert relit(slow, light)[whole].mean() == pytest.approx(relit(fast, light)[whole].mean(), rel=0.02)
    shared = np.intersect1d(slow.ground_pixels, fast.ground_pixels)
    assert len(shared) > 10
    ratio = [
        t.ground[np.isin(t.ground_pixels, shared)].astype(float)[:, :NUM_LOBES].sum(axis=1) / np.pi
        for t in (slow, fast)
    ]
    assert np.abs(ratio[0] - ratio[1]).mean() < 0.06


def test_equal_seeds_give_equal_bits_whatever_the_number_of_threads(quick: Backend) -> None:
    import drjit as dr

    first = trace_view(box(), FRONT, SMALL, backend=quick)
    number = dr.thread_count()
    dr.set_thread_count(1 if number > 1 else 2)
    try:
        again = trace_view(box(), FRONT, SMALL, backend=quick)
    finally:
        dr.set_thread_count(number)
    other = trace_view(box(), FRONT, replace(SMALL, seed=4), backend=quick)
    assert first.response.tobytes() == again.response.tobytes() and first.ground.tobytes() == again.ground.tobytes()
    assert first.response.tobytes() != other.response.tobytes()
    assert first.digest == again.digest != other.digest


def test_depth_and_normals_are_those_of_the_box(quick: Backend) -> None:
    model = box()
    for azimuth, half, normal in ((0, 0.3, (0, -1, 0)), (90, 0.5, (1, 0, 0)), (180, 0.3, (0, 1, 0))):
        transfer = trace_view(model, replace(FRONT, azimuth_deg=azimuth), SMALL, backend=quick)
        assert transfer.depth[13, 12] == pytest.approx(3.0 - half, abs=0.02)
        assert transfer.normals[13, 12].tolist() == pytest.approx(normal, abs=0.01)
        assert transfer.depth[0, 0] == 0 and transfer.alpha[0, 0] == 0


def test_roll_turns_the_picture_clockwise(quick: Backend) -> None:
    level = trace_view(box(), FRONT, SMALL, backend=quick).alpha.astype(float)
    rolled = trace_view(box(), replace(FRONT, roll_deg=90), SMALL, backend=quick).alpha.astype(float)
    assert np.abs(np.rot90(level, -1) - rolled).mean() < 0.02 < np.abs(np.rot90(level) - rolled).mean()


def test_the_shadow_falls_away_from_the_sun_and_never_brightens(quick: Backend) -> None:
    model, sun = box(), 12
    view = View(azimuth_deg=0, elevation_deg=80, distance_m=8, focal_mm=50)
    transfer = trace_view(model, view, SMALL, backend=quick)
    ratio = transfer.ground.astype(float) / np.maximum(transfer.open_ground, 1e-6)
    assert (transfer.ground <= transfer.open_ground * 1.001).all() and ratio.min() >= 0
    dark = transfer.ground_pixels[ratio[:, NUM_LOBES + sun] < 0.2]
    row, column = np.divmod(dark, SMALL.size_px)
    away = -sun_directions()[sun][:2]
    middle = np.array([column.mean() - 11.5, 11.5 - row.mean()])
    assert len(dark) > 3 and middle @ away > 0.7 * np.linalg.norm(middle) * np.linalg.norm(away)


def test_a_grey_floor_lights_from_below_what_the_lower_lobes_then_do_not(quick: Backend) -> None:
    ball, up = white(specular=False), evaluate(np.eye(NUM_LOBES), np.array([[0, 0, -1.0]]))[0] > 0.2
    open_air, black, grey = (
        trace_view(ball, FRONT, replace(SMALL, ground_albedo=albedo), backend=quick) for albedo in (None, 0.0, 0.5)
    )
    below = slice(len(open_air.pixels) * 3 // 4, None)
    assert open_air.response[below, :NUM_LOBES][:, up].sum() > 10 * grey.response[:, :NUM_LOBES][:, up].sum()
    assert grey.response[below].sum() > 1.3 * black.response[below].sum()
    assert (grey.response[:, :NUM_LOBES].astype(float).sum(axis=1) <= 1.01).all()


def test_the_sky_that_mitsuba_sees_is_the_lobes_own() -> None:
    import mitsuba as mi

    SCALAR.activate()
    coefficients = np.random.default_rng(0).random((NUM_LOBES, 3))
    emitter = mi.load_dict(sky(coefficients))
    directions = np.random.default_rng(1).normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for direction, expected in zip(directions, evaluate(coefficients, directions), strict=True):
        surface = mi.SurfaceInteraction3f()
        surface.wi = mi.Vector3f(*(-direction).tolist())
        assert np.asarray(emitter.eval(surface)) == pytest.approx(expected, abs=0.02)


def test_every_material_of_a_model_is_buildable() -> None:
    SCALAR.activate()
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    base = box().surfaces[0]
    uvs = np.zeros((len(base.vertices), 2), np.float32)
    looks = [
        Material(metallic=0.5),
        Material(opacity=0.5),
        Material(base_texture=texture, surface_texture=texture[..., :2], metallic=1.0, base_colour=(1.0, 0.5, 0.2)),
        Material(base_texture=texture[..., :3], specular=False),
    ]
    surfaces = [replace(base, material=look, uvs=uvs) for look in looks]
    surfaces.append(replace(base, colours=np.full((len(base.vertices), 3), 0.5, np.float32)))
    assert len(build_scene(stand(surfaces, name="looks")).shapes()) == 5


def test_views_and_tracings_out_of_range_are_named() -> None:
    model = box()
    for wrong in (replace(FRONT, distance_m=0.5), replace(FRONT, elevation_deg=120), replace(FRONT, focal_mm=0.1)):
        with pytest.raises(ConfigError, match="a view of box"):
            trace_view(model, wrong, SMALL, backend=SCALAR)
    for tracing in (replace(SMALL, num_paths=0), replace(SMALL, size_px=4), replace(SMALL, max_bounces=0)):
        with pytest.raises(ConfigError, match="a tracing takes"):
            trace_view(model, FRONT, tracing, backend=SCALAR)
    with pytest.raises(ConfigError, match="ground_albedo is 2"):
        trace_view(model, FRONT, replace(SMALL, ground_albedo=2.0), backend=SCALAR)
    with pytest.raises(UnavailableError, match="grey floor"):
        trace_view(model, FRONT, replace(SMALL, ground_albedo=0.5), backend=SCALAR)


def test_digests_name_everything_that_decides() -> None:
    model = box()
    base = transfer_digest(model, FRONT, SMALL, backend=SCALAR)
    others = [
        transfer_digest(box((0.1, 0.5, 0.3)), FRONT, SMALL, backend=SCALAR),
        transfer_digest(model, replace(FRONT, roll_deg=1), SMALL, backend=SCALAR),
        transfer_digest(model, FRONT, replace(SMALL, num_paths=97), backend=SCALAR),
        transfer_digest(model, FRONT, SMALL, backend=Backend(name="llvm")),
    ]
    assert len({base, *others}) == 5
    assert base == transfer_digest(box(), FRONT, SMALL, backend=SCALAR)
    assert list(trace_views(model, [], SMALL, backend=SCALAR)) == []
