"""Pages without the framework: documents of templates, escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from starlette.responses import HTMLResponse, Response

from blemish.console.language.messages import counted, say
from blemish.console.language.numbers import number_text
from blemish.console.language.scripts import script_tags
from blemish.console.language.visitor_language import current_language

HEADERS = {"Cache-Control": "no-store"}


def document(template: str, **values: object) -> Response:
    """Answer with a document."""
    content = (
        _templates()
        .get_template(template)
        .render(values, language=current_language(), scripts=script_tags())
    )
    return HTMLResponse(content, headers=HEADERS)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
    )
    environment.globals.update(say=say, counted=counted, number_text=number_text)
    return environment
