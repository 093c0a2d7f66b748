"""The addresses of the console: what its paths begin with."""

from __future__ import annotations

from urllib.parse import quote

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
SIGN_OUT = f"{ROOT}/sign-out"

STATIC = f"{ROOT}/static/"
"""Our style sheets and scripts. An update changes them under the same names."""

API_PORT = "blemish.api_port"
"""Key of a request's scope with the port of the API, where the console has a port of its own."""


def project_path(project: str, rest: str = "") -> str:
    """Return the path of a page of a project, below `ROOT`."""
    return f"/projects/{quote(project, safe='')}{rest}"
