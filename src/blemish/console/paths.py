"""The addresses of the console: what its paths begin with."""

from __future__ import annotations

from urllib.parse import quote

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
SIGN_OUT = f"{ROOT}/sign-out"

STATIC = f"{ROOT}/static/"
"""Our style sheets and scripts. An update changes them under the same names."""


def project_path(project: str, rest: str = "") -> str:
    """Return the path of a page of a project, below `ROOT`."""
    return f"/projects/{quote(project, safe='')}{rest}"
