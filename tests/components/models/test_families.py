"""An architecture says the same whether its defaults are written down or not."""

from typing import Any

import pytest

from components.models.families import build_network, with_defaults

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
