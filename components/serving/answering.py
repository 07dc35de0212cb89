"""A web application for a workload that answers questions about images, one request a question.

It takes the images out of the request, has them answered in a thread, adds which model answered, and tells what is
wrong with a request as a status of 4xx with a reason. Images stay in memory and are never logged. A workload that
wants more of its server, such as batches, brings an application of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from components.core.errors import DataError
from components.serving.identity import Identity
from components.serving.uploads import UploadError, read_images

Answer = Callable[..., Mapping[str, Any]]


def answering(path: str, answer: Answer, *, fields: tuple[str, ...], identity: Identity) -> Starlette:
    """An application that answers `POST path` with what `answer` makes of the encoded images in these fields.

    `answer` gets them in the order of `fields`; its DataError, for an image that cannot be read, is answered with 400.
    """
    slots = asyncio.Semaphore(os.cpu_count() or 1)  # images that wait cost their encoded bytes, not their pixels

    async def ask(request: Request) -> JSONResponse:
        try:
            images = await read_images(request, *fields)
            async with slots:
                found = await asyncio.to_thread(answer, *images)
        except UploadError as error:
            return JSONResponse({"error": str(error)}, status_code=error.status)
        except DataError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except ClientDisconnect:
            return JSONResponse({"error": "the request ended early"}, status_code=400)
        return JSONResponse({**found, "model": identity.answer()})

    return Starlette(routes=[Route(path, ask, methods=["POST"])])
