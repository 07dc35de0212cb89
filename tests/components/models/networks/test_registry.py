"""An architecture says the same whether its defaults are written down or not, and a wrong field is named."""

from typing import Any

import pytest

from components.core.errors import ConfigError
from components.models.networks.registry import build_network, with_defaults

SHORT = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1]}


def test_defaults_are_those_that_the_network_is_built_with() -> None:
    full = with_defaults(SHORT)
    assert full == {**SHORT, "stem_stride": 1, "kernels": [3, 3, 3]} == with_defaults(full)
    assert str(build_network(full)) == str(build_network(SHORT))


@pytest.mark.parametrize(
    "changes", [{"kernels": [5, 3, 3]}, {"stem_stride": 2}, {"widths": [4, 9]}, {"blocks": [1, 2]}]
)
def test_what_is_written_down_stays(changes: dict[str, Any]) -> None:
    assert with_defaults({**SHORT, **changes}) == {**SHORT, "stem_stride": 1, "kernels": [3, 3, 3], **changes}


def test_another_family_has_nothing_to_write_down() -> None:
    backbone = {"family": "torchvision", "name": "resnet18", "num_classes": 3}
    assert with_defaults(backbone) == backbone


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"widths": [0, 8]}, r"^widths of a convnet is \[0, 8\], allowed are whole numbers from 1"),
        ({"widths": [], "blocks": []}, r"^widths of a convnet is \[\], allowed"),
        ({"widths": [4.0, 8]}, r"^widths of a convnet is \[4\.0, 8\], allowed"),
        ({"blocks": [1, -1]}, r"^blocks of a convnet is \[1, -1\], allowed"),
        ({"blocks": [True, 1]}, r"^blocks of a convnet is \[True, 1\], allowed"),
        ({"blocks": [1]}, r"blocks \[1\] .* give 2 blocks"),
        ({"kernels": [3, 3]}, r"kernels \[3, 3\]; give .* 3 kernels, the stem's first"),
        ({"kernels": [3, 0, 3]}, r"^kernels of a convnet is \[3, 0, 3\], allowed"),
        ({"kernels": [3, 4, 3]}, r"^kernels of a convnet is \[3, 4, 3\], allowed are odd sides"),
    ],
)
def test_what_no_convnet_is_built_from_is_named(changes: dict[str, Any], told: str) -> None:
    for architecture in ({**SHORT, **changes}, {"family": "merged", "inner": SHORT, "outer": {**SHORT, **changes}}):
        with pytest.raises(ConfigError, match=told):
            build_network(architecture)
