"""The host answers as the application that it is given does, whatever kind it is."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from components.serving.hosting import Host, make_application
from components.serving.identity import Identity


def answers(host: Host, *paths: str) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with (
            host.router.lifespan_context(host),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=host), base_url="http://local") as client,
        ):
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


def hosting(application) -> Host:
    host = Host()
    host.adopt(application, endpoint="GET /number")
    return host


def numbered(*, root: bool = False) -> FastAPI:
    """Answers with what its lifespan set up, and turns its own error into an answer."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.number = 7
        yield

    application = FastAPI(lifespan=lifespan)

    @application.get("/number")
    async def number() -> int:
        return int(application.state.number)

    @application.get("/fails")
    async def fails() -> int:
        raise ValueError("of its own")

    @application.exception_handler(ValueError)
    async def told(_request: object, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=418)

    if root:
        application.get("/")(number)
    return application


def test_a_fastapi_application_keeps_its_lifespan_its_errors_and_its_description() -> None:
    host = hosting(numbered())
    number, fails, index = answers(host, "/number", "/fails", "/")
    assert (number.json(), fails.status_code, fails.json()) == (7, 418, {"error": "of its own"})
    assert index.json()["ask"] == "GET /number", "a page of BentoML's own would load from the network"
    paths = get_openapi(title=host.title, version=host.version, routes=host.routes)["paths"]
    assert set(paths) == {"/number", "/fails"}
    assert answers(hosting(numbered(root=True)), "/")[0].json() == 7


def test_any_asgi_application_is_hosted() -> None:
    async def plain(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    assert [answer.text for answer in answers(hosting(plain), "/a", "/")] == ["/a", "/"]


def test_nothing_is_answered_before_there_is_an_application() -> None:
    assert answers(Host(), "/number")[0].status_code == 404


def test_the_application_is_made_of_the_module_that_the_identity_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told_elsewhere.py").write_text("def make(artefact, identity):\n    return artefact, identity\n")
    monkeypatch.syspath_prepend(tmp_path)
    identity = Identity(model_digest="f" * 64, application="told_elsewhere:make")
    assert make_application(tmp_path, identity) == (tmp_path, identity)
    del sys.modules["told_elsewhere"]
