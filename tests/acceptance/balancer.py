"""HAProxy before several servers, set as deploy/haproxy.cfg is."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.acceptance.served import ServedDirectory
from tests.conftest import ROOT
from tests.ports import free_port

EXAMPLE = ROOT / "deploy" / "haproxy.cfg"


@contextmanager
def balanced(servers: Sequence[ServedDirectory], folder: Path) -> Iterator[str]:
    """Run HAProxy before servers until the end of the context; yield its URL."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("HAProxy is absent: apt-get install haproxy")
    port = free_port()
    settings = folder / "haproxy.cfg"
    settings.write_text(_settings(servers, port))
    process = subprocess.Popen([program, "-f", str(settings), "-q"])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _settings(servers: Sequence[ServedDirectory], port: int) -> str:
    """Return the example of the guide with the ports of a test, and without console and TLS."""
    text = EXAMPLE.read_text().partition("frontend console")[0]
    text = re.sub(r"bind :8000 .*\n", f"bind 127.0.0.1:{port}\n", text)
    kept = re.sub(r"    server .*\n", "", text)
    for number, served in enumerate(servers):
        kept += f"    server mill-{number} {served.endpoint.removeprefix('http://')}\n"
    return kept


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            urlopen(f"{url}/healthz").close()
        except (URLError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@dataclass
class Stream:
    """Calls that go on in threads until they are stopped."""

    call: Callable[[Any], object]
    clients: Sequence[Any]
    took_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call, each client in its own thread, until the end of the context."""
        stopping = threading.Event()

        def work(client: Any) -> None:
            while not stopping.is_set():
                began = time.monotonic()
                try:
                    self.call(client)
                except Exception as error:  # noqa: BLE001 - each is counted
                    self.errors.append(repr(error))
                self.took_s.append(time.monotonic() - began)

        threads = [threading.Thread(target=work, args=(client,)) for client in self.clients]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    def quantile_ms(self, share: float) -> float:
        """Return a quantile of the times."""
        return sorted(self.took_s)[int(share * (len(self.took_s) - 1))] * 1_000
