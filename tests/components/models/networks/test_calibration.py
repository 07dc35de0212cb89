"""Statistics come from the images given, whatever stood there before, and not from a frozen incumbent's."""

import pytest
import torch
from torch import nn

from components.core.errors import DataError
from components.models.networks.calibration import calibrate, resized
from components.models.networks.growth import Grown


def test_statistics_are_the_images_own_in_whatever_batches() -> None:
    images = torch.randn(24, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 2
    network = nn.Sequential(nn.BatchNorm2d(3))
    norm = network[0]
    norm.running_mean.fill_(99.0)  # type: ignore[union-attr]
    assert calibrate(network, images, batch=8) == 1
    assert torch.allclose(norm.running_mean, images.mean((0, 2, 3)), atol=1e-5)  # type: ignore[arg-type]
    assert torch.allclose(norm.running_var, images.var((0, 2, 3)), rtol=0.05)  # type: ignore[arg-type]
    assert not norm.training and norm.momentum == 0.1


def test_an_incumbents_statistics_stay() -> None:
    grown = Grown(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    grown.parts = lambda x: (grown.inner(x).mean((2, 3)), grown.outer(x).mean((2, 3)))  # type: ignore[method-assign]
    assert calibrate(grown, torch.randn(8, 3, 4, 4) + 5) == 1
    assert torch.equal(grown.inner.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert (grown.outer.running_mean > 3).all()  # type: ignore[operator,union-attr]


def test_one_image_has_no_variance() -> None:
    with pytest.raises(DataError, match="at least 2"):
        calibrate(nn.BatchNorm2d(3), torch.zeros(1, 3, 4, 4))


def test_images_of_the_right_side_are_not_touched() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert resized(images, 8) is images
    assert resized(images, 4).shape == (2, 3, 4, 4)
