"""Pages without the framework: documents of templates, escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from starlette.responses import HTMLResponse, Response

HEADERS = {"Cache-Control": "no-store"}


def document(template: str, **values: object) -> Response:
    """Answer with a document."""
    return HTMLResponse(_templates().get_template(template).render(values), headers=HEADERS)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
    )
