"""The places of a workspace: one folder holds params.yaml, dvc.yaml and data/, one home holds the state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from components.core.settings import Settings

if TYPE_CHECKING:
    from components.core.manifest import Split
    from components.core.samples import SampleSet

Stage = Literal["validation", "synthesis", "training", "selection", "packaging"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Paths only; nothing here reads or writes."""

    root: Path
    home: Path

    @classmethod
    def from_settings(cls, settings: Settings) -> Workspace:
        """The workspace that the environment names, with absolute paths."""
        return cls(root=settings.workspace.resolve(), home=settings.home.resolve())

    @property
    def params(self) -> Path:
        """The parameters that DVC tracks."""
        return self.root / "params.yaml"

    @property
    def data(self) -> Path:
        """What DVC versions."""
        return self.root / "data"

    @property
    def baseline(self) -> Path:
        """The champion that this release is compared with."""
        return self.data / "baseline"

    @property
    def replay(self) -> Path:
        """Past incidents that must stay right, with the labels that people marked as wrong."""
        return self.data / "replay"

    @property
    def placement(self) -> Path:
        """The memory of the split: every photo that was ever placed, and where."""
        return self.data / "placement"

    @property
    def marks(self) -> Path:
        """Labels that people marked as wrong."""
        return self.replay / "marks.jsonl"

    @property
    def cache(self) -> Path:
        """Decoded pixels and other things that can be made again."""
        return self.home / "cache"

    @property
    def scratch(self) -> Path:
        """Checkpoints of unfinished work."""
        return self.home / "scratch"

    @property
    def bentos(self) -> Path:
        """The Bento store."""
        return self.home / "bentoml"

    @property
    def ledger(self) -> Path:
        """The looks at the certify split."""
        return self.home / "ledger.jsonl"

    @property
    def reports(self) -> Path:
        """Pages for people."""
        return self.home / "reports"

    @property
    def ledger_anchor(self) -> Path:
        """The head of the certify ledger, kept in git beside the split."""
        return self.data / "certify.ledger.json"

    def source(self, name: str) -> Path:
        """The manifest of a source as it came in."""
        return self.data / name

    def stage(self, stage: Stage) -> Path:
        """What a stage made."""
        return self.data / stage

    def samples(self, split: Split) -> SampleSet:
        """The questions of a split, as validation left them; of `replay`, those that people pinned."""
        from components.core.samples import SampleSet  # brings pyarrow along, which a look at the paths can do without

        if split == "replay":
            return SampleSet(images=self.replay, path=self.replay / "samples" / f"{split}.parquet")
        made = self.stage("validation")
        return SampleSet(images=made / "photos" / split, path=made / "samples" / f"{split}.parquet")
