"""The addresses of the console: what its paths begin with."""

from __future__ import annotations

from urllib.parse import quote

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
SIGN_OUT = f"{ROOT}/sign-out"
PROVIDER_SIGN_IN = f"{SIGN_IN}/provider"
"""Leads to the identity provider."""

PROVIDER_CALLBACK = f"{SIGN_IN}/callback"
"""Where the identity provider sends browsers back to."""

PROVIDER_FINISH = f"{SIGN_IN}/finish"
"""Where the page at `PROVIDER_CALLBACK` goes on to."""

KIOSK = f"{ROOT}/kiosk"
"""Where the links of screens at a line lead; the token is in the query."""

STATIC = f"{ROOT}/static/"
"""Our style sheets and scripts. An update changes them under the same names."""

LANGUAGE = f"{ROOT}/language/"
"""The messages of scripts, a file for each language."""

API_PORT = "blemish.api_port"
"""Key of a request's scope with the port of the API, where the console has a port of its own."""


def project_path(project: str, rest: str = "") -> str:
    """Return the path of a page of a project, below `ROOT`."""
    return f"/projects/{quote(project, safe='')}{rest}"


def full_screen_path(line: str) -> str:
    """Return the path of the full screen of a line, as a request has it: not quoted."""
    return f"{ROOT}/line/{line}"
