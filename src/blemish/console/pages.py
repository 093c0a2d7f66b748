"""Every page of the console, and the framework that draws them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as framework
from nicegui import ui
from starlette.staticfiles import StaticFiles

from blemish.console.auth.guard import ROOT
from blemish.console.images import add_images as bring
from blemish.console.images import gallery, uploads
from blemish.console.images import stored_images as images
from blemish.console.masks import painter
from blemish.console.masks import painter_requests as painted
from blemish.console.models import compare, model, models, previews
from blemish.console.projects import dashboard, projects
from blemish.console.settings import settings
from blemish.console.training import train
from blemish.console.trials import image_requests, try_it

PAGES = (
    bring,
    compare,
    dashboard,
    gallery,
    model,
    models,
    painted,
    painter,
    image_requests,
    images,
    previews,
    projects,
    settings,
    train,
    try_it,
    uploads,
)
"""The modules that pages are in: to import one is to register its pages."""

RECONNECT_S = 10.0
"""How long a page is kept for a browser whose connection is lost; it is noticed about as late."""

_QUASAR = """
app.use(Quasar, {config: vue_config});
applyColors(vue_config.brand);
darkSetter = () => showTheme();
showTheme();
"""
"""How the framework is set up in a browser: colours and theme are those of our style sheet."""

STATIC = Path(__file__).parent / "static"


@cache
def application() -> FastAPI:
    """Return the pages as an application; the framework knows but one in a process."""
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    outer.mount(f"{ROOT}/static", StaticFiles(directory=STATIC))
    ui.run_with(
        outer,
        mount_path=ROOT,
        title="Blemish",
        favicon=STATIC / "mark.svg",
        dark=None,
        language="en-US",
        reconnect_timeout=RECONNECT_S,
        tailwind=False,
        show_welcome_message=False,
    )
    framework.colors(
        primary="var(--accent)",
        secondary="var(--quiet)",
        accent="var(--accent)",
        dark="var(--surface)",
        dark_page="var(--page)",
        positive="var(--normal)",
        negative="var(--anomaly)",
        info="var(--accent)",
        warning="var(--warning)",
    )
    framework.config.vue_config_script = _QUASAR
    return outer
