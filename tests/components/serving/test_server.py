import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from components.core.errors import ConfigError, SourceError, UnavailableError
from components.serving.identity import MODEL_FOLDER
from components.serving.server import check_port, free_port, running, serve, wait_until_ready


def test_an_occupied_port_is_named_with_the_remedy(bento) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(UnavailableError, match=rf"port {port} .* taken .*--port"):
            serve(bento.path, port=port)
    check_port(port, host="127.0.0.1")


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_out_of_range_is_named(port: int) -> None:
    with pytest.raises(ConfigError, match="1 to 65535"):
        check_port(port, host="127.0.0.1")


def test_a_foreign_address_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"192\.0\.2\.1"):
        check_port(free_port(), host="192.0.2.1")


def test_a_name_in_place_of_an_address_is_named() -> None:
    with pytest.raises(ConfigError, match="'localhost' is no IP address"):
        check_port(free_port(), host="localhost")


def test_a_folder_that_is_no_bento_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Bento"):
        serve(tmp_path, port=free_port())


def test_changed_weights_do_not_start(bento, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bento.path, changed)
    weights = changed / "src" / MODEL_FOLDER / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    port = free_port()
    with tempfile.TemporaryFile() as log, running(changed, port=port, log=log) as process:
        with pytest.raises(UnavailableError, match="before it was ready"):
            wait_until_ready(process, port=port, timeout_s=60)
        log.seek(0)
        assert b"one of them was changed" in log.read()


def processes_of(port: int) -> list[psutil.Process]:
    """The processes that were started with this port or hold it."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            holds = any(item.laddr and item.laddr.port == port for item in process.net_connections("tcp"))
        except psutil.Error:
            continue
        if holds or str(port) in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def assert_nothing_left(port: int) -> None:
    deadline = time.monotonic() + 20
    while processes_of(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(port) == []


def test_no_process_of_a_bento_outlives_a_killed_owner(bento) -> None:
    port = free_port()
    script = (
        "from pathlib import Path; from components.serving.server import serve; "
        f"serve(Path({str(bento.path)!r}), port={port})"
    )
    with tempfile.TemporaryFile() as log:
        owner = subprocess.Popen([sys.executable, "-c", script], stdout=log, stderr=log)
        wait_until_ready(owner, port=port)
        assert len(processes_of(port)) >= 4, "owner, guard, supervisor and worker"
        owner.kill()
        owner.wait()
        assert_nothing_left(port)


FAKE_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    log_message = print
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def start_fake(tmp_path: Path, port: int, source: str) -> subprocess.Popen[str]:
    """An owner that serves a folder that looks like a Bento with `source` in BentoML's place."""
    (tmp_path / "bento.yaml").touch()
    script = (
        "import signal, sys; from pathlib import Path; from components.serving import server; "
        # a shell gives what it starts in the background an ignored Ctrl-C
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"server._server_command = lambda *_: [sys.executable, '-c', {source!r}, '{port}']; "
        f"server.serve(Path({str(tmp_path)!r}), port={port}, endpoint='POST /ask')"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def test_ctrl_c_ends_cleanly_after_the_line_that_says_ready(tmp_path: Path) -> None:
    port = free_port()
    owner = start_fake(tmp_path, port, FAKE_SERVER)
    assert owner.stderr is not None
    assert f"answers POST /ask at http://127.0.0.1:{port} " in owner.stderr.readline()
    owner.send_signal(signal.SIGINT)
    assert owner.communicate(timeout=20)[1] == "stopping\n"
    assert owner.returncode == 0
    assert_nothing_left(port)


def test_a_server_that_stops_by_itself_is_an_error(tmp_path: Path) -> None:
    owner = start_fake(tmp_path, free_port(), "raise SystemExit(5)")
    assert "UnavailableError: the server ended with exit code 5 before it was ready" in owner.communicate(timeout=20)[1]
