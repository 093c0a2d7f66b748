"""Every page of the console, and the framework that draws them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from fastapi import FastAPI
from nicegui import app as framework
from nicegui import core, ui
from nicegui.client import templates
from starlette.staticfiles import StaticFiles

from blemish.console.auth.page_sockets import OwnUploads, bind_to_sessions
from blemish.console.browser_rules import with_nonces
from blemish.console.http import register
from blemish.console.images import (
    add_images_page,
    export_requests,
    gallery_page,
    image_requests,
    labelled_requests,
    upload_requests,
)
from blemish.console.line import (
    drift_page,
    history_page,
    line_page,
    line_requests,
    lines_page,
    review_page,
    review_requests,
    shadow_page,
)
from blemish.console.masks import (
    overlay_requests,
    painter_page,
    painter_requests,
    region_requests,
    regions_page,
    suggestion_requests,
)
from blemish.console.models import compare_page, model_page, models_page, preview_requests
from blemish.console.packaging import package_requests, packages_page
from blemish.console.paths import ROOT
from blemish.console.people import audit_page, kiosks_page, users_page
from blemish.console.projects import overview_page, projects_page, trash_page
from blemish.console.settings import settings_page
from blemish.console.training import train_page
from blemish.console.trials import detect_requests, trial_page, try_it_page

PAGES = (
    add_images_page,
    audit_page,
    compare_page,
    detect_requests,
    export_requests,
    gallery_page,
    history_page,
    image_requests,
    kiosks_page,
    labelled_requests,
    line_page,
    line_requests,
    lines_page,
    review_page,
    review_requests,
    drift_page,
    shadow_page,
    model_page,
    models_page,
    overview_page,
    overlay_requests,
    package_requests,
    packages_page,
    painter_page,
    painter_requests,
    preview_requests,
    projects_page,
    region_requests,
    regions_page,
    settings_page,
    suggestion_requests,
    train_page,
    trash_page,
    trial_page,
    try_it_page,
    upload_requests,
    users_page,
)
"""The modules that pages are in: to import one is to register its pages."""

RECONNECT_S = 10.0
"""How long a page is kept for a browser whose connection is lost; it is noticed about as late."""

_QUASAR = """
app.use(Quasar, {config: vue_config});
Object.assign(app.config.globalProperties, {say, counted, numberText});
Quasar.Lang.set(Quasar.Lang[language.replace("-", "")]);
applyColors(vue_config.brand);
darkSetter = () => showTheme();
showTheme();
"""
"""How the framework is set up in a browser: colours and theme are those of our style sheet, the
language is that of the page, and templates have the functions of `static/say.js`."""

STATIC = Path(__file__).parent / "static"


@cache
def application() -> FastAPI:
    """Return the pages as an application; the framework knows but one in a process."""
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    outer.add_middleware(OwnUploads)
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
    register(framework)
    _use_nonces(templates.env)
    bind_to_sessions(core.sio)
    # it has no name for screen readers, and pages show what they wait for themselves
    framework.config.quasar_config["loadingBar"]["skipHijack"] = True
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


def _use_nonces(environment: jinja2.Environment) -> None:
    """Let every script that the framework writes into a page carry the nonce of its answer."""
    loader = environment.loader
    assert loader is not None

    def load(name: str) -> str:
        source, _, _ = loader.get_source(environment, name)
        return with_nonces(source)

    environment.loader = jinja2.FunctionLoader(load)
