"""The shard job of pastes: composes, photographs and encodes every row, and makes any of them again alone.

A row is a pure function of the assets, the settings and (seed, shard, index). The whole recipe lies in
recipe.json beside the shards; a row's own names its digest and its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from components.synthesis.pastes.arrangement import ARRANGEMENTS
from components.synthesis.pastes.backdrops import BEHIND
from components.synthesis.pastes.composition import Composition, compose
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.occluders import OCCLUDERS
from components.synthesis.pastes.surroundings import Assets
from components.synthesis.picture.aims import Aim, aimed_draw, aimed_label, check_factors, choose_aim
from components.synthesis.picture.camera import CameraConfig, draw_shot, take_picture
from components.synthesis.picture.encoding import encode_jpeg
from components.synthesis.runs.rows import Stamp, image_columns, joined_licences, objects_column, row_rng
from components.synthesis.runs.work import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteSettings:
    """How all pastes of a run are made."""

    pastes: PastesConfig = field(default_factory=PastesConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    size_px: int = 128
    aims: tuple[Aim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastingJob:
    """Pastes in shards, the classes in turn; pickled once for every worker process."""

    assets: Assets
    settings: PasteSettings
    stamp: Stamp
    num_images: int
    rows_per_shard: int = 512

    @property
    def num_shards(self) -> int:
        """How many shards hold all images."""
        return -(-self.num_images // self.rows_per_shard)

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard; none beyond the last."""
        left = self.num_images - shard * self.rows_per_shard
        return [self.row(shard, index) for index in range(min(self.rows_per_shard, left))]

    def row(self, shard: int, index: int) -> Row:
        """One row, the same bytes whether it is made with its shard or alone."""
        rng, labels = row_rng(self.stamp.seed, shard, index), list(self.assets.cutouts)
        aim = choose_aim(self.settings.aims, rng)
        label = aimed_label(aim, labels[(shard * self.rows_per_shard + index) % len(labels)], rng)
        factors = aimed_draw(aim, rng)
        size_px = self.settings.size_px
        scene = compose(self.assets, self.settings.pastes, label, size_px=size_px, factors=factors)
        shot = draw_shot(self.settings.camera, factors, size_px)
        check_factors(aim, factors.columns)
        (encoded,) = encode_jpeg([take_picture(scene.rgb, shot)], [shot.jpeg_quality])
        return self._described(scene, encoded) | factors.columns | {"recipe": self.stamp.at(shard, index)}

    def _described(self, scene: Composition, encoded: bytes) -> Row:
        cutout, background = scene.cutout, scene.background
        objects = {} if scene.owners is None else {"objects": objects_column(scene.owners.objects())}
        return (
            image_columns(encoded, scene.mask)
            | objects
            | {
                "label": cutout.label,
                "source": "paste",
                "group": cutout.group,
                "parents": [cutout.sample_id, background.sample_id],
                "licence": joined_licences(cutout.licence, background.licence),
            }
        )


def words_drawn(config: PastesConfig) -> dict[str, frozenset[str]]:
    """The words that an aim can narrow the factors of pastes to."""
    held, row, heap = config.held_probability, config.row_probability, config.heap_probability
    shares = dict(zip(ARRANGEMENTS, (1 - held - row - heap, held, row, heap), strict=True))
    arrangements = frozenset(word for word, share in shares.items() if share > 0)
    behind = {word for kind in arrangements for word in BEHIND[kind][0]} if config.clutter_probability else set()
    covered = {"none", *(OCCLUDERS if config.occlusion_probability else ()), *(("hand",) if held else ())}
    return {
        "arrangement": arrangements,
        "behind": frozenset({"background", *behind}),
        "occluder": frozenset(covered),
    }
