"""A workload of another package: its modules are in its Bento, which starts, answers, and is another for another index.

It has nothing of a classifier: its model is a vocabulary and an index, and what it is asked is a word.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components.core.errors import ConfigError, IntegrityError
from components.core.workloads import Parity, Service
from components.models.identity import model_digest
from components.packaging.building import build_bento
from components.packaging.packaging import PackageSummary, package, read_bento

MODULES = {
    "__init__.py": '"""Looks words up."""',
    "application.py": """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from lookup.inside import tables


def make(artefact, identity):
    places = tables.read(artefact)

    async def look(request):
        place = places.get(request.query_params["word"])
        return JSONResponse({"place": place, "model": identity.answer()})

    return Starlette(routes=[Route("/look", look)])
""",
    "inside/__init__.py": "",
    "inside/tables.py": """
import json

from components.core.files import read_json


def read(artefact):
    words = (artefact / "words.txt").read_text().split()
    return dict(zip(words, read_json(artefact / "places.json")["places"]))
""",
    "training.py": "import torch, components.synthesis  # not for a Bento",
}
SERVICE = Service(
    application="lookup.application:make",
    endpoint="GET /look",
    description="Looks a word up: GET /look?word=WORD.",
    packages=(),
)


@pytest.fixture(scope="module", autouse=True)
def _lookup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The foreign package, importable."""
    root = tmp_path_factory.mktemp("elsewhere")
    for name, text in MODULES.items():
        path = root / "lookup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        yield
    assert not [name for name in sys.modules if name.startswith("lookup")], "a build imports no workload"


def write_model(folder: Path, places: list[int]) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps({"files": ["words.txt", "places.json"]}))
    (folder / "words.txt").write_text("mug lamp")
    (folder / "places.json").write_text(json.dumps({"places": places}))
    return folder


def record(out: Path) -> None:
    out.write_text(json.dumps({"mug": 3, "lamp": 5}))


def compare(port: int, recording: Path) -> Parity:
    kept = json.loads(recording.read_text())
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        said = {word: client.get("/look", params={"word": word}).json()["place"] for word in kept}
    if said != kept:
        raise IntegrityError(f"answers {said}, recorded was {kept}")
    return Parity(num_samples=len(kept), max_difference=0.0, tolerance=0.0)


def packaged(model: Path, home: Path, out: Path) -> PackageSummary:
    info = {"workload": "lookup"}
    return package(model, service=SERVICE, record=record, compare=compare, version_info=info, bento_home=home, out=out)


def test_a_foreign_workload_is_packaged_and_answers(tmp_path: Path) -> None:
    made = packaged(write_model(tmp_path / "model", [3, 5]), tmp_path / "home", tmp_path / "out")
    assert made.parity.num_samples == 2
    source = made.bento.path / "src"
    shipped = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert {name for name in shipped if name.startswith("lookup/")} == {
        f"lookup/{name}" for name in ("__init__.py", "application.py", "inside/__init__.py", "inside/tables.py")
    }
    rooms = {name.split("/")[1] for name in shipped if name.startswith("components/")}
    assert rooms == {"__init__.py", "core", "models", "serving"}
    requirements = (made.bento.path / "env" / "python" / "requirements.txt").read_text()
    assert "torch" not in requirements and "fastapi==" in requirements
    kept = sorted(path.name for path in (tmp_path / "out" / "model").iterdir())
    assert kept == ["model.json", "places.json", "words.txt"]

    with pytest.raises(IntegrityError, match=r"answers {'mug': 3, 'lamp': 6}"):
        packaged(write_model(tmp_path / "other", [3, 6]), tmp_path / "home", tmp_path / "out")
    assert read_bento(tmp_path / "out" / "bento.json", bento_home=tmp_path / "home") == made.bento


def test_a_new_index_is_another_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.packaging.building._run_build", lambda context, *_: context)
    old, new = write_model(tmp_path / "old", [3, 5]), write_model(tmp_path / "new", [3, 6])
    assert (old / "words.txt").read_bytes() == (new / "words.txt").read_bytes()
    first, second = (
        build_bento(model, service=SERVICE, version_info={}, bento_home=tmp_path / f"home of {model.name}")
        for model in (old, new)
    )
    assert (first.model_digest, second.model_digest) == (model_digest(old), model_digest(new))
    assert len({first.model_digest, second.model_digest, first.digest, second.digest}) == 4
    assert first.tag != second.tag


@pytest.mark.parametrize(
    "application", ["lookup.nothing:make", "nowhere.application:make", ":make", "lookup.application"]
)
def test_an_application_that_is_nowhere_is_named(tmp_path: Path, application: str) -> None:
    service = Service(application=application, endpoint="", description="", packages=())
    with pytest.raises(ConfigError, match=r"application|nowhere"):
        build_bento(write_model(tmp_path / "m", [1, 2]), service=service, version_info={}, bento_home=tmp_path / "home")
