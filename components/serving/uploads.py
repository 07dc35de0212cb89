"""Takes encoded images out of a request: a field each, as multipart files or as base64 in JSON.

Uploads stay in memory: the body is bounded before it is parsed, and no part of it is spooled to a file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

MAX_BODY_BYTES = 16 * 1024 * 1024


class UploadError(ValueError):
    """A request holds no usable image; `status` is the HTTP status that says so."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def read_image(request: Request) -> bytes:
    """The encoded bytes of field `image`; UploadError names what is wrong with the request."""
    (image,) = await read_images(request, "image")
    return image


async def read_images(request: Request, *names: str) -> tuple[bytes, ...]:
    """The encoded bytes of these fields, in their order; UploadError names what is wrong with the request."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise UploadError(f"content type {kind or '(none)'!r} is not accepted; {_how(names)}", status=415)
    body = await _read_body(request)
    found = _from_json(body, names) if kind == "application/json" else await _from_multipart(request, body, names)
    for name, data in zip(names, found, strict=True):
        if not data:
            raise UploadError(f"field '{name}' is empty; {_how(names)}")
    return found


def _how(names: tuple[str, ...]) -> str:
    files = "a multipart file named" if len(names) == 1 else "multipart files named"
    fields = ", ".join(f'"{name}": "<base64>"' for name in names)
    quoted = " and ".join(f'"{name}"' for name in names)
    return f"send {'it' if len(names) == 1 else 'them'} as {files} {quoted}, or as JSON {{{fields}}}"


async def _read_body(request: Request) -> bytes:
    too_large = UploadError(f"the request is larger than {MAX_BODY_BYTES:,} bytes; scale the image down", status=413)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


def _from_json(body: bytes, names: tuple[str, ...]) -> tuple[bytes, ...]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UploadError(f"the body is not valid JSON ({type(error).__name__}); {_how(names)}") from error
    return tuple(_from_base64(value, name, names) for name in names)


def _from_base64(value: Any, name: str, names: tuple[str, ...]) -> bytes:
    if not isinstance(value, dict) or name not in value:
        raise UploadError(f"field '{name}' is missing; {_how(names)}")
    text = value[name]
    if not isinstance(text, str):
        raise UploadError(f"field '{name}' must be a base64 string, got JSON {type(text).__name__}; {_how(names)}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UploadError(f"field '{name}' is not base64 ({error}); {_how(names)}") from error


class _MemoryParser(MultiPartParser):
    spool_max_size = MAX_BODY_BYTES + 1


async def _from_multipart(request: Request, body: bytes, names: tuple[str, ...]) -> tuple[bytes, ...]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _MemoryParser(request.headers, stream(), max_files=8, max_fields=8).parse()
    except (MultiPartException, UnicodeError) as error:
        raise UploadError(f"the multipart body is malformed ({error}); {_how(names)}") from error
    try:
        return tuple([await _only_image(form, name, names) for name in names])
    finally:
        await form.close()


async def _only_image(form: FormData, name: str, names: tuple[str, ...]) -> bytes:
    found = form.getlist(name)
    if not found:
        raise UploadError(f"field '{name}' is missing, got {sorted(form) or 'no fields'}; {_how(names)}")
    if len(found) > 1:
        raise UploadError(f"field '{name}' came {len(found)} times; send one image a field")
    upload = found[0]
    if not isinstance(upload, UploadFile):
        raise UploadError(f"field '{name}' is text, not a file; {_how(names)}")
    return await upload.read()
