import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from components.core.errors import IntegrityError, StateError
from components.synthesis.builtin.parts import Finish, block
from components.synthesis.light.lobes import NUM_LIGHTS
from components.synthesis.renders import transfer_store
from components.synthesis.renders.backends import Backend
from components.synthesis.renders.models import Model
from components.synthesis.renders.tracing import transfer_digest
from components.synthesis.renders.transfer_store import TransferStore
from components.synthesis.renders.transfers import Tracing, Transfer, View
from tests.benchmarks.imaging.reference import model_from_parts

SCALAR = Backend(name="scalar")
TRACING = Tracing(size_px=8, num_paths=4)
VIEWS = [View(azimuth_deg=azimuth, elevation_deg=10, distance_m=4) for azimuth in (0, 30, 60)]


def model() -> Model:
    return model_from_parts([block((1, 1, 1), (0, 0, 0), Finish(colour=(1, 0, 0)))], name="cube")


def drawn(view: View, digest: str) -> Transfer:
    rng = np.random.default_rng(int(view.azimuth_deg))
    return Transfer(
        size_px=8,
        view=view,
        pixels=np.arange(5, dtype=np.int32),
        response=rng.random((5, NUM_LIGHTS, 3)).astype(np.float16),
        alpha=rng.random((8, 8)).astype(np.float16),
        depth=rng.random((8, 8)).astype(np.float16),
        normals=rng.random((8, 8, 3)).astype(np.float16),
        ground_pixels=np.zeros(0, np.int32),
        ground=np.zeros((0, NUM_LIGHTS), np.float16),
        open_ground=np.ones(NUM_LIGHTS, np.float32),
        height_m=1.0,
        digest=digest,
    )


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[View]:
    """Views that were traced, by a stand-in for the tracer."""
    views: list[View] = []

    def trace(model: Model, wanted: Sequence[View], tracing: Tracing, *, backend: Backend) -> Iterator[Transfer]:
        for view in wanted:
            views.append(view)
            yield drawn(view, transfer_digest(model, view, tracing, backend=backend))

    monkeypatch.setattr(transfer_store, "trace_views", trace)
    return views


def test_each_view_is_traced_once_and_comes_back_bit_for_bit(tmp_path: Path, traced: list[View]) -> None:
    store = TransferStore(folder=tmp_path)
    keys = store.fill(model(), VIEWS[:2], TRACING, backend=SCALAR)
    assert store.fill(model(), VIEWS, TRACING, backend=SCALAR)[:2] == keys
    assert traced == VIEWS
    for key, view, transfer in zip(keys, VIEWS, store.stream(keys), strict=False):
        expected = drawn(view, key)
        assert transfer.view == view and transfer.digest == key and transfer.height_m == 1.0
        for name in transfer_store._ARRAYS:
            found, wanted = getattr(transfer, name), getattr(expected, name)
            assert found.dtype == wanted.dtype and found.shape == wanted.shape
            assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("damage", ["short", "flipped", "empty", "noise", "other"])
def test_damage_is_noticed_and_traced_again(tmp_path: Path, traced: list[View], damage: str) -> None:
    store = TransferStore(folder=tmp_path)
    key, other = store.fill(model(), VIEWS[:2], TRACING, backend=SCALAR)
    path = store.path(key)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[-3] ^= 1
    content = {"short": data[:-7], "flipped": bytes(flipped), "empty": b"", "noise": b"\xff" * 99}
    path.write_bytes(content[damage] if damage in content else store.path(other).read_bytes())
    with pytest.raises(IntegrityError, match=key):
        store.load(key)
    again = store.get_or_trace(model(), VIEWS[0], TRACING, backend=SCALAR)
    assert traced == [*VIEWS[:2], VIEWS[0]] and path.read_bytes() == data and again.digest == key


def test_an_unknown_transfer_is_a_state_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="trace its view first"):
        TransferStore(folder=tmp_path).load("ab" * 32)


def test_nothing_half_written_is_left_when_tracing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trace(model: Model, wanted: Sequence[View], tracing: Tracing, *, backend: Backend) -> Iterator[Transfer]:
        yield drawn(wanted[0], transfer_digest(model, wanted[0], tracing, backend=backend))
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer_store, "trace_views", trace)
    store = TransferStore(folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.fill(model(), VIEWS, TRACING, backend=SCALAR)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1 and store.holds(files[0].stem)


def test_a_store_goes_to_worker_processes(tmp_path: Path) -> None:
    store = TransferStore(folder=tmp_path)
    assert pickle.loads(pickle.dumps(store)) == store  # noqa: S301
