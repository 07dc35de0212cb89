import numpy as np
import pytest

from components.core.errors import ConfigError, DataError
from components.synthesis.renders.wraps import SHAPES, Pixels, Shape, guess_shape, wrap_picture


def cutout(shape: str, height: int = 80, width: int = 40) -> Pixels:
    """A drawn cut-out: red above, blue below, with a white background that must not show."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = (x + 0.5) / width * 2 - 1, (y + 0.5) / height
    inside = {
        "box": np.ones((height, width), bool),
        "cylinder": np.abs(down - 0.5) < 0.44 + 0.06 * np.sqrt(1 - across**2),
        "bottle": np.abs(across) < np.where(down < 0.35, 0.3, 0.95),
        "branch": np.abs(across - np.sin(down * 6) * 0.6) < 0.35,
    }[shape]
    rgba = np.full((height + 20, width + 20, 4), 255, np.uint8)
    rgba[..., 3] = 0
    rgba[10:-10, 10:-10, :3] = np.where((down < 0.5)[..., None], (255, 0, 0), (0, 0, 255))
    rgba[10:-10, 10:-10, 3] = inside * 255
    return rgba


@pytest.mark.parametrize("shape", SHAPES)
def test_a_wrap_has_the_height_asked_for_and_the_pictures_proportions(shape: Shape) -> None:
    model = wrap_picture(cutout("box"), shape, height_m=0.3)
    assert model.size_m[2] == pytest.approx(0.3, rel=1e-3)
    assert model.size_m[0] == pytest.approx(0.15, rel=0.03)
    depth = {"carton": 0.0825, "bottle": 0.15, "can": 0.15, "card": 0.0}[shape]
    assert model.size_m[1] == pytest.approx(depth, rel=0.03, abs=1e-6)


@pytest.mark.parametrize("shape", ["carton", "bottle", "can"])
def test_solids_look_outward_everywhere(shape: Shape) -> None:
    for surface in wrap_picture(cutout("bottle"), shape).surfaces:
        a, b, c = (surface.vertices[surface.faces[:, i]] for i in range(3))
        across = np.cross(b - a, c - a)
        facing = np.einsum("fc,fc->f", across, surface.normals[surface.faces].mean(axis=1))
        assert (facing >= -1e-9).all(), "a face is wound against its normals"
        outward = (a + b + c) / 3 - np.array([0, 0, surface.vertices[:, 2].mean()])
        solid = np.linalg.norm(across, axis=1) > 1e-9
        assert (np.einsum("fc,fc->f", across, outward)[solid] > -1e-6).mean() > 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_no_background_shows_and_the_picture_stands_upright(shape: Shape) -> None:
    for surface in wrap_picture(cutout("bottle"), shape, height_m=0.25).surfaces:
        texture, uvs = surface.material.base_texture, surface.uvs
        assert texture is not None and uvs is not None
        assert texture[..., 1].max() < 60, "the white background bleeds into the texture"
        rows = ((1 - uvs[:, 1]) * (len(texture) - 1)).round().astype(int)
        columns = (uvs[:, 0] * (texture.shape[1] - 1)).round().astype(int)
        height = surface.vertices[:, 2] / 0.25
        red = texture[rows, columns, 0] > 127
        flat = np.ptp(surface.vertices[:, 2]) < 1e-6
        assert flat or (red[height > 0.8].all() and not red[height < 0.2].any())


def test_a_bottle_follows_its_outline() -> None:
    (surface,) = wrap_picture(cutout("bottle"), "bottle", height_m=1).surfaces
    radius = np.hypot(surface.vertices[:, 0], surface.vertices[:, 1])
    neck, body = radius[surface.vertices[:, 2] > 0.8].max(), radius[surface.vertices[:, 2] < 0.5].max()
    assert neck / body == pytest.approx(0.3 / 0.95, abs=0.05)


def test_a_card_keeps_the_outline_of_its_cut_out() -> None:
    rgba = cutout("branch")
    (surface,) = wrap_picture(rgba, "card", height_m=1).surfaces
    a, b, c = (surface.vertices[surface.faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    covered = rgba[..., 3] > 127
    assert area == pytest.approx(covered.sum() / covered.any(axis=1).sum() ** 2, rel=1e-3)


@pytest.mark.parametrize(
    ("drawn", "expected"), [("box", "carton"), ("cylinder", "can"), ("bottle", "bottle"), ("branch", "card")]
)
def test_the_outline_suggests_the_solid(drawn: str, expected: str) -> None:
    assert guess_shape(cutout(drawn, 160, 100)) == expected


def test_what_cannot_be_wrapped_is_named() -> None:
    empty = cutout("box")
    empty[..., 3] = 0
    for call in (wrap_picture, lambda rgba, shape, name: guess_shape(rgba, name=name)):
        with pytest.raises(DataError, match="milk is empty"):
            call(empty, "carton", name="milk")
        with pytest.raises(DataError, match="milk is uint8 of shape"):
            call(empty[..., :3], "carton", name="milk")
    with pytest.raises(ConfigError, match="allowed are carton"):
        wrap_picture(cutout("box"), "ball")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="height_m"):
        wrap_picture(cutout("box"), "card", height_m=0.0)
