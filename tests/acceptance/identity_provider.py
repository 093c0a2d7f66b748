"""A real provider of OpenID Connect on loopback: Canaille, from an environment of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.acceptance.registry import ROOT, kept_environment

START_PATIENCE_S = 120
LOCK = "requirements-identity-provider.lock"
SERVER = Path(__file__).with_name("identity_server.py")


class IdentityProvider:
    """Canaille, which may be ended and started again; its keys are new then."""

    client_id, client_secret = "blemish", "a-secret-of-the-client"

    def __init__(self, log: Path, *, people: Sequence[dict[str, Any]]) -> None:
        self._python = kept_environment(ROOT / LOCK, folder=".venv-identity-provider")
        self._people = list(people)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("localhost", 0)) as free:
            self._port = free.getsockname()[1]
        self.issuer = f"http://localhost:{self._port}"

    def settings(self, roles: dict[str, str]) -> dict[str, str]:
        """Return the settings of a server whose people this provider signs in."""
        return {
            "BLEMISH_OIDC_ISSUER": self.issuer,
            "BLEMISH_OIDC_CLIENT_ID": self.client_id,
            "BLEMISH_OIDC_CLIENT_SECRET": self.client_secret,
            "BLEMISH_OIDC_NAME": "Canaille",
            "BLEMISH_OIDC_ROLES": json.dumps(roles),
        }

    def start(self, *, redirect_uri: str) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._python, SERVER],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        setup = {
            "port": self._port,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "redirect_uri": redirect_uri,
            "people": self._people,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(setup).encode() + b"\n")
        self._process.stdin.close()
        deadline = time.monotonic() + START_PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.issuer}/.well-known/openid-configuration") as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False
