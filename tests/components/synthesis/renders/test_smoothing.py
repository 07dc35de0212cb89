import numpy as np

from components.synthesis.renders.smoothing import Guides, smoothed

SIZE = 16


def guides(**changed: np.ndarray) -> Guides:
    row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
    flat = {
        "places": np.stack([column, np.zeros_like(row), row], axis=1).astype(np.float32) / SIZE,
        "normals": np.tile(np.float32([0, -1, 0]), (SIZE * SIZE, 1)),
        "albedo": np.full((SIZE * SIZE, 3), 0.5, np.float32),
    }
    pixels = np.arange(SIZE * SIZE, dtype=np.int32)
    return Guides(size_px=SIZE, pixels=pixels, step_m=0.02, **(flat | changed))  # type: ignore[arg-type]


def test_noise_on_a_plane_falls_and_its_mean_stays() -> None:
    noisy = 1 + 0.3 * np.random.default_rng(0).normal(size=(SIZE * SIZE, 2, 3)).astype(np.float32)
    calm = smoothed(noisy, guides(), reach_px=2)
    inner = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)[2:-2, 2:-2].ravel()
    assert calm[inner].std() < 0.4 * noisy[inner].std()
    assert abs(calm.mean() - noisy.mean()) < 0.01


def test_textures_stay_sharp() -> None:
    albedo = np.where(np.arange(SIZE * SIZE)[:, None] % 2, 0.8, 0.1).astype(np.float32).repeat(3, axis=1)
    lit = (albedo * 2)[:, None, :]
    np.testing.assert_allclose(smoothed(lit, guides(albedo=albedo)), lit, rtol=0.25)
    assert np.corrcoef(smoothed(lit, guides(albedo=albedo)).ravel(), lit.ravel())[0, 1] > 0.999


def test_light_does_not_cross_a_fold_or_a_step() -> None:
    left = np.arange(SIZE * SIZE) % SIZE < SIZE // 2
    lit = np.where(left, 1.0, 0.0).astype(np.float32)[:, None, None].repeat(3, axis=2)
    folded = np.where(left[:, None], np.float32([0, -1, 0]), np.float32([1, 0, 0]))
    stepped = guides().places + np.where(left[:, None], 0, np.float32([0, 0.5, 0]))
    assert np.abs(smoothed(lit, guides(normals=folded)) - lit).max() < 1e-3
    assert np.abs(smoothed(lit, guides(places=stepped)) - lit).max() < 1e-3
    assert np.abs(smoothed(lit, guides()) - lit).max() > 0.2, "on one plane it would have crossed"
