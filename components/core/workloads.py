"""The one seam: what a workload is. The platform asks it for everything that depends on what is asked of an image.

A sample is a question about some images (`core/samples.py`). A workload says what is asked, what answers, and when an
answer is right; the platform keeps everything that only knows right, wrong or abstained. A workload is a value: typed
functions and a few words. Its stages, `judge`, `record` and `compare` live in modules that are light to import, since
the digest of their import closure is what "the code of a stage" means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from components.core.manifest import Source as RowSource
from components.core.params import Section
from components.core.samples import SampleSet
from components.core.stages import StageReport
from components.core.workspace import Stage, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something a user brings: `--source NAME=ADDRESS`, kept as the manifest `data/NAME`.

    `rows` is what its manifest calls its rows. Of a labelled one each image has a label: its sub-folder, or a column,
    and there are at least `min_labels` of them. With `models` 3D models are taken in too, in `data/NAME/models`.
    """

    name: str
    summary: str
    rows: RowSource
    required: bool = False
    labelled: bool = True
    min_labels: int = 0
    models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """What a stage is given: workspace, the whole of params.yaml, its workload, and the digest of each stage's code."""

    workspace: Workspace
    params: Any
    workload: Workload
    code: Mapping[Stage, str]


StageFunction = Callable[[StageInput], StageReport]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stage: the function that writes `data/STAGE`, and what that depends on.

    `sections` are the parts of params.yaml that it reads, `reads` the paths below `data/`; DVC watches both.
    """

    run: StageFunction
    sections: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


class Judge(Protocol):
    """Asks an artefact the questions of a split, and says which answers are right."""

    def __call__(self, artefact: Path, samples: SampleSet, *, cache: Path) -> pa.Table:
        """A row a sample, in any order: `sample_id`, `verdict` (1, 0, -1), `score` and `prediction` (for people).

        Truth, slices and groups are the samples' own and are added by the platform.
        """
        ...


class Record(Protocol):
    """Keeps some questions with what an artefact answers them, for a Bento to answer again."""

    def __call__(self, artefact: Path, samples: SampleSet, *, num_samples: int, out: Path, cache: Path) -> None:
        """Write a recording of at most `num_samples` questions to the file `out`; what is in it is the workload's."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """A passed comparison: how many questions were answered alike, and the largest difference that was let pass."""

    num_samples: int
    max_difference: float
    tolerance: float


class Compare(Protocol):
    """Holds a running server to a recording."""

    def __call__(self, port: int, recording: Path) -> Parity:
        """Ask the server on this local port again; IntegrityError names the samples that it answers differently."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A sample for people: its encoded pictures, what the truth is, and more words by name."""

    pictures: tuple[bytes, ...]
    title: str
    words: Mapping[str, str] = field(default_factory=dict)


Show = Callable[[Mapping[str, Any], Sequence[bytes]], Shown]


def show_plainly(sample: Mapping[str, Any], images: Sequence[bytes]) -> Shown:
    """A row of the samples and its images as they are."""
    words = {"asked": str(sample["ask"])} if sample.get("ask") else {}
    return Shown(pictures=tuple(images), title=str(sample.get("truth") or ""), words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a Bento answers with.

    `application` is "module:function". The function is called when a server starts, with the artefact's folder and the
    model's identity (`serving/identity.py`), and returns an ASGI application. The Bento ships what that module imports
    of ours and of its own package, and `packages` (names of distributions, pinned to what is installed).
    `more_packages` names those that one artefact alone needs.
    """

    application: str
    endpoint: str  # "POST /classify", for people
    description: str
    packages: tuple[str, ...]
    more_packages: Callable[[Path], Sequence[str]] = lambda _artefact: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What Detent is run on.

    `params` is the type of the whole params.yaml, a subclass of the platform's with the workload's own sections.
    `stages` are those of the five that it has, in their order; every one has training, selection and packaging.
    `code` names modules that its functions reach by no import. What it hands to a stage (`judge`, `record` and so on)
    is best defined in a light module, as all that such a module imports counts as that stage's code.

    What follows `code` is optional: what gives the `Rules` of `components/validation` by which photos are dealt and
    asked about (None: each photo for its label), checks the sources together (warnings out, DataError if they do not
    fit), takes in a model from elsewhere (file and folder in, digest out), and the params.yaml that a new workspace
    starts with (without it, every default).
    """

    name: str
    summary: str
    params: type[Section]
    sources: tuple[Source, ...]
    stages: Mapping[Stage, Step]
    judge: Judge
    service: Service
    record: Record
    compare: Compare
    show: Show = show_plainly
    code: tuple[str, ...] = ()
    rules: Callable[[], Any] | None = None
    check_sources: Callable[[Workspace], Sequence[str]] | None = None
    take_in: Callable[[Path, Path], str] | None = None
    starting_params: Path | None = None

    def source(self, name: str) -> Source | None:
        """The source of this name."""
        return next((source for source in self.sources if source.name == name), None)
