"""Encoded pictures and masks come back as they were, the same bytes every time."""

import io

import numpy as np
import pytest
from PIL import Image

from components.synthesis.picture.encoding import encode_jpeg, encode_mask


def gradient() -> np.ndarray:
    ramp = np.linspace(20, 230, 48).astype(np.uint8)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(60)), axis=-1)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_pictures_come_back_in_rgb_and_in_order():
    first, second = gradient(), gradient()[::-1]
    for picture, data in zip((first, second), encode_jpeg([first, second], [92, 92]), strict=True):
        assert np.abs(decoded(data).astype(int) - picture).mean() < 3


def test_quality_is_each_pictures_own():
    poor, good = encode_jpeg([gradient()] * 2, [20, 95])
    assert len(poor) < len(good)


def test_a_quality_for_each_picture_is_required():
    with pytest.raises(ValueError, match="zip"):
        encode_jpeg([gradient()], [80, 80])


def test_masks_are_kept_exactly_and_alike():
    mask = gradient()[..., 0]
    assert (decoded(encode_mask(mask)) == mask).all()
    assert encode_mask(mask) == encode_mask(mask.copy(order="F"))
