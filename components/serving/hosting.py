"""Holds the place of the workload's application in a Bento until a worker makes it.

BentoML wants the web application when it imports the service, in every process and already while it builds; the model
is loaded by a worker alone, and with it the application. A workload's application is any ASGI application; what its
lifespan sets up and, of a FastAPI one, what `GET /docs.json` describes is its own.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from components.serving.identity import Identity


class Host(FastAPI):
    """An application without a path of its own but `/`, until it is given the one that it hosts."""

    def __init__(self) -> None:
        super().__init__(title="Detent", docs_url=None, redoc_url=None, openapi_url=None)
        self._hosted: ASGIApp | None = None
        self._answers_root = False

    def adopt(self, application: ASGIApp, *, endpoint: str) -> None:
        """Answer with this application from now on; `GET /` says what to ask, unless it says so itself."""
        routes: list[BaseRoute] = [Mount("/", application)]
        if isinstance(application, Starlette):
            routes = list(application.routes)
            lifespan: Any = application.router.lifespan_context
            self.router.lifespan_context = lambda _host: lifespan(application)
        self.router.routes[:] = routes
        self._hosted = application
        self._answers_root = not any(getattr(route, "path", None) in ("/", "") for route in routes)
        if self._answers_root:  # BentoML's own page there loads a tracker from the network
            told = {"ask": endpoint, "ready": "GET /readyz", "metrics": "GET /metrics", "api": "GET /docs.json"}

            async def index() -> dict[str, str]:
                return told

            self.add_api_route("/", index, methods=["GET"], include_in_schema=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the hosted application, so that its middleware and error handlers count."""
        if self._hosted is None or (self._answers_root and scope.get("path") == "/"):
            await super().__call__(scope, receive, send)
        else:
            await self._hosted(scope, receive, send)


def make_application(artefact: Path, identity: Identity) -> ASGIApp:
    """The application that the Bento's identity names, on the model at `artefact`."""
    module, _, function = identity.application.partition(":")
    made: Any = getattr(import_module(module), function)(artefact, identity)
    application: ASGIApp = made
    return application
