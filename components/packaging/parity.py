"""Decides whether a built Bento answers as the evaluated model did: started for real, asked over HTTP.

What it is asked and when two answers agree is the workload's affair (`record` and `compare`); that the Bento's files
are those it was built from, that it starts, and that its server is stopped in every case is decided here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.core.errors import DataError, UnavailableError
from components.core.workloads import Compare, Parity
from components.packaging.building import BentoRef, check_content
from components.serving.server import START_TIMEOUT_S, free_port, running, wait_until_ready

_LOG_TAIL = 2000


def check_parity(bento: BentoRef, recording: Path, *, compare: Compare, timeout_s: float = START_TIMEOUT_S) -> Parity:
    """Start the Bento and have the workload hold it to a recording; the server is stopped in every case.

    IntegrityError names the samples that are answered differently, or a Bento whose files were changed;
    UnavailableError a server that is not ready after `timeout_s`; DataError a comparison of nothing.
    """
    check_content(bento)
    with started(bento, timeout_s=timeout_s) as port:
        parity = compare(port, recording)
    if parity.num_samples < 1:
        raise DataError(f"{recording} holds no sample, so it says nothing about the Bento {bento.tag}")
    return parity


@contextmanager
def started(bento: BentoRef, *, timeout_s: float = START_TIMEOUT_S) -> Iterator[int]:
    """The port of the Bento's server, which is ready then and stopped afterwards; its log's end comes with an error."""
    port = free_port()
    with tempfile.TemporaryFile() as log, running(bento.path, port=port, log=log) as process:
        try:
            wait_until_ready(process, port=port, timeout_s=timeout_s)
        except UnavailableError as error:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-_LOG_TAIL:].strip()
            raise UnavailableError(f"the Bento {bento.tag} did not start: {error}\n{tail}") from error
        yield port
