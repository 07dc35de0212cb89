"""Takes the encoded image out of a request: field `image`, as a multipart file or as base64 in JSON.

Uploads stay in memory: the body is bounded before it is parsed, and no part of it is spooled to a file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

MAX_BODY_BYTES = 16 * 1024 * 1024
_HOW = 'send it as a multipart file named "image", or as JSON {"image": "<base64>"}'


class UploadError(ValueError):
    """A request holds no usable image; `status` is the HTTP status that says so."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def read_image(request: Request) -> bytes:
    """The encoded bytes of field `image`; UploadError names what is wrong with the request."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise UploadError(f"content type {kind or '(none)'!r} is not accepted; {_HOW}", status=415)
    body = await _read_body(request)
    data = _from_json(body) if kind == "application/json" else await _from_multipart(request, body)
    if not data:
        raise UploadError(f"field 'image' is empty; {_HOW}")
    return data


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


def _from_json(body: bytes) -> bytes:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UploadError(f"the body is not valid JSON ({type(error).__name__}); {_HOW}") from error
    if not isinstance(value, dict) or "image" not in value:
        raise UploadError(f"field 'image' is missing; {_HOW}")
    text = value["image"]
    if not isinstance(text, str):
        raise UploadError(f"field 'image' must be a base64 string, got JSON {type(text).__name__}; {_HOW}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UploadError(f"field 'image' is not base64 ({error}); {_HOW}") from error


class _MemoryParser(MultiPartParser):
    spool_max_size = MAX_BODY_BYTES + 1


async def _from_multipart(request: Request, body: bytes) -> bytes:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _MemoryParser(request.headers, stream(), max_files=8, max_fields=8).parse()
    except (MultiPartException, UnicodeError) as error:
        raise UploadError(f"the multipart body is malformed ({error}); {_HOW}") from error
    try:
        return await _only_image(form)
    finally:
        await form.close()


async def _only_image(form: FormData) -> bytes:
    found = form.getlist("image")
    if not found:
        raise UploadError(f"field 'image' is missing, got {sorted(form) or 'no fields'}; {_HOW}")
    if len(found) > 1:
        raise UploadError(f"field 'image' came {len(found)} times; send one image a request")
    upload = found[0]
    if not isinstance(upload, UploadFile):
        raise UploadError(f"field 'image' is text, not a file; {_HOW}")
    return await upload.read()
