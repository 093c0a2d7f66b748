"""A Ray cluster of this machine, whose nodes are processes that tests start and kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.acceptance.registry import ROOT, kept_environment, pip_for, run

OBJECT_STORE_BYTES = 100_000_000
"""Ray takes a third of the memory otherwise."""

PATIENCE_S = 900.0


def cluster_python(folder: Path) -> Path:
    """Return the interpreter of server and nodes, with the wheel of these sources.

    Args:
        folder: an empty one, for the wheel.
    """
    python = kept_environment(ROOT / "requirements-cluster.lock", folder=".venv-cluster")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    install = ("install", "--no-deps", "--no-index", "--force-reinstall", "--no-compile")
    run(*pip_for(python), *install, *folder.iterdir())
    return python


class RayCluster:
    """The nodes of a cluster; the first one is the head."""

    def __init__(self, python: Path, folder: str) -> None:
        """Start no node yet.

        Args:
            python: the interpreter of the nodes.
            folder: of Ray's sockets, which need a short path.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self._head_options = ("--head", f"--port={self._port}", f"--temp-dir={folder}")
        self._ray = python.with_name("ray")
        self._nodes: list[subprocess.Popen[bytes]] = []

    def start_head(self, *, cpus: int) -> None:
        """Start the head."""
        self._start(*self._head_options, "--include-dashboard=false", cpus=cpus)

    def start_node(self, *, cpus: int) -> subprocess.Popen[bytes]:
        """Start another node, and return it."""
        return self._start(f"--address={self.address}", cpus=cpus)

    def wait(self) -> None:
        """Wait until all nodes are there."""
        deadline = time.monotonic() + PATIENCE_S
        while len(processes("raylet/raylet", f":{self._port} ")) < len(self._nodes):
            assert time.monotonic() < deadline, "a node does not start"
            assert all(node.poll() is None for node in self._nodes), "a node has ended"
            time.sleep(0.1)

    def kill_node(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a node with all of its processes."""
        self._nodes.remove(node)
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self._nodes:
            os.killpg(node.pid, signal.SIGTERM)
        for node in self._nodes:
            node.wait(PATIENCE_S)

    def _start(self, *options: str, cpus: int) -> subprocess.Popen[bytes]:
        node = subprocess.Popen(
            [
                self._ray,
                "start",
                "--block",
                "--node-ip-address=127.0.0.1",
                f"--num-cpus={cpus}",
                f"--object-store-memory={OBJECT_STORE_BYTES}",
                *options,
            ],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._nodes.append(node)
        return node


def environment() -> dict[str, str]:
    """Return an environment in which Ray reports to nobody, and asks for a token."""
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "of-this-test",
    }
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return others | settings


def processes(*words: str) -> list[int]:
    """Return the processes whose command line has all these words."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if all(word in line for word in words):
                found.append(int(folder.name))
    return found
