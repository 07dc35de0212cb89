import asyncio
import base64
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from components.datasets.decoding import decode_fit
from components.models.artefacts import load_model
from components.models.prediction import predict
from components.serving.batching import Batcher
from components.serving.identity import Identity
from components.serving.uploads import MAX_BODY_BYTES
from components.workloads.classification.application import Classifier, best_classes, build_application

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def post_file(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/classify", files={"image": ("a.jpg", data)})


def test_multipart_and_json_give_the_prediction_of_the_evaluation(server, model_folder: Path, images) -> None:
    model = load_model(model_folder)
    expected = predict(model, np.stack([decode_fit(image, 32, name="x") for image in images[:4]]))
    with server.client() as client:
        for image, row in zip(images, expected, strict=False):
            sent = [
                post_file(client, image),
                client.post("/classify", json={"image": base64.b64encode(image).decode()}),
            ]
            for response in sent:
                assert response.status_code == 200, response.text
                answer = response.json()
                probabilities = [item["probability"] for item in answer["predictions"]]
                assert len(probabilities) == 5
                assert probabilities == sorted(probabilities, reverse=True)
                assert sum(probabilities) <= 1 + 1e-5
                assert answer["predictions"][0]["label"] == model.spec.classes[row.argmax()]
                for item in answer["predictions"]:
                    assert item["probability"] == pytest.approx(row[model.spec.classes.index(item["label"])], abs=1e-4)
                assert answer["model"] == {"digest": model.digest, "version": "7", "workload": "products"}


def huge_image() -> bytes:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


JSON = {"content-type": "application/json"}
BAD_REQUESTS = {
    "no field": ({"files": {"picture": ("a.jpg", b"x")}}, 400, "'image' is missing"),
    "text field": ({"files": {"image": (None, "hello")}}, 400, "text, not a file"),
    "two images": ({"files": [("image", ("a", b"x")), ("image", ("b", b"x"))]}, 400, "2 times"),
    "empty file": ({"files": {"image": ("a.jpg", b"")}}, 400, "empty"),
    "text file": ({"files": {"image": ("a.jpg", b"hello world\n" * 9)}}, 400, "not an image"),
    "one pixel": ({"files": {"image": ("a.png", PNG)}}, 400, "too small"),
    "json without field": ({"json": {"img": "x"}}, 400, "'image' is missing"),
    "json list": ({"json": ["x"]}, 400, "'image' is missing"),
    "json number": ({"json": {"image": 3}}, 400, "must be a base64 string"),
    "json empty": ({"json": {"image": ""}}, 400, "empty"),
    "json not base64": ({"json": {"image": "é!"}}, 400, "not base64"),
    "json base64 of text": ({"json": {"image": base64.b64encode(b"hello").decode()}}, 400, "not an image"),
    "broken json": ({"content": b"{", "headers": JSON}, 400, "not valid JSON"),
    "deep json": ({"content": b"[" * 200_000, "headers": JSON}, 400, "not valid JSON"),
    "binary json": ({"content": b"\xff\xfe\x00", "headers": JSON}, 400, "not valid JSON"),
    "no boundary": ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "malformed"),
    "broken multipart": (
        {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "image",
    ),
    "raw body": ({"content": b"x", "headers": {"content-type": "image/jpeg"}}, 415, "image/jpeg"),
    "no type": ({"content": b"x"}, 415, "(none)"),
    "no body": ({}, 415, "(none)"),
    "form": ({"data": {"image": "x"}}, 415, "x-www-form-urlencoded"),
    "too large": ({"content": b"x" * (MAX_BODY_BYTES + 1), "headers": JSON}, 413, "larger than"),
    "too large in chunks": ({"content": (b"x" * 65_536 for _ in range(300)), "headers": JSON}, 413, "larger than"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_requests_are_told_what_is_wrong(server, name: str) -> None:
    request, status, reason = BAD_REQUESTS[name]
    with server.client() as client:
        response = client.post("/classify", **request)
    assert response.status_code == status, response.text
    assert reason in response.json()["error"]


def test_bad_images_are_told_what_is_wrong(server, images) -> None:
    with server.client() as client:
        for data, reason in [
            (images[1][:-200], "truncated"),
            (huge_image(), "huge"),
            (images[1][::-1], "not an image"),
        ]:
            response = post_file(client, data)
            assert response.status_code == 400
            assert reason in response.json()["error"]


def test_sixteen_clients_get_the_right_answers(server, model_folder: Path, images) -> None:
    model = load_model(model_folder)
    expected = predict(model, np.stack([decode_fit(image, 32, name="x") for image in images]))

    def ask(first: int) -> None:
        with server.client() as client:
            for step in range(12):
                row = (first + step) % len(images)
                response = post_file(client, images[row])
                assert response.status_code == 200, response.text
                found = {item["label"]: item["probability"] for item in response.json()["predictions"]}
                assert next(iter(found)) == model.spec.classes[expected[row].argmax()]
                for label, probability in found.items():
                    assert probability == pytest.approx(expected[row, model.spec.classes.index(label)], abs=1e-4)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))


def test_a_client_that_leaves_early_does_no_harm(server, images) -> None:
    import socket

    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head)
    with server.client() as client:
        assert post_file(client, images[0]).status_code == 200


def test_the_api_is_described_and_pages_load_nothing_from_elsewhere(server) -> None:
    with server.client() as client:
        assert client.get("/readyz").status_code == 200
        kinds = client.get("/docs.json").json()["paths"]["/classify"]["post"]["requestBody"]["content"]
        assert set(kinds) == {"multipart/form-data", "application/json"}
        assert "googletagmanager" not in client.get("/").text
        assert client.get("/classify").status_code == 405


def test_the_log_holds_no_trace_and_no_failure(server, images) -> None:
    """Comes last: it reads what all requests above left behind."""
    with server.client() as client:
        post_file(client, b"secret text in an upload")
    log = server.log_text()
    assert "status=400" in log, "the log is read, so this test can fail"
    assert "Traceback" not in log
    assert "status=5" not in log
    assert "secret" not in log


def ask_locally(*requests: dict) -> list[httpx.Response]:
    """The answers of an application without a server around it, whose model always says a 1/4, b 3/4."""
    application = build_application(
        Classifier(
            classes=("a", "b"),
            size_px=16,
            batcher=Batcher(lambda pixels: np.tile(np.float32([0.25, 0.75]), (len(pixels), 1))),
            identity=Identity(model_digest="f" * 64, application="unused:here"),
        )
    )

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
            return [await client.post("/classify", **request) for request in requests]

    return asyncio.run(run())


def test_uploads_are_never_spooled_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("an upload was written to a file")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "BMP")
    assert len(file.getvalue()) > 4_000_000
    (response,) = ask_locally({"files": {"image": ("a.bmp", file.getvalue())}})
    assert response.status_code == 200
    assert response.json() == {
        "predictions": [{"label": "b", "probability": 0.75}, {"label": "a", "probability": 0.25}],
        "model": {"digest": "f" * 64, "version": "f" * 12},
    }


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_bytes_are_answered(data: bytes, cut: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    damaged = file.getvalue()[:cut] + data
    answers = ask_locally(
        {"files": {"image": ("a.jpg", damaged)}},
        {"content": data, "headers": JSON},
        {"content": data, "headers": {"content-type": "multipart/form-data; boundary=b"}},
    )
    assert all(answer.status_code in (200, 400) for answer in answers)


@given(row=arrays(np.float32, st.integers(1, 9), elements=st.floats(0, 1, width=32)))
def test_best_classes_are_the_largest_in_order(row) -> None:
    classes = tuple(f"class {i}" for i in range(len(row)))
    best = best_classes(row, classes)
    assert [item["probability"] for item in best] == sorted(map(float, row), reverse=True)[:5]
    assert all(row[classes.index(item["label"])] == np.float32(item["probability"]) for item in best)
