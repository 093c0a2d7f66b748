"""The settings: access keys, limits, backbones, storage, versions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from functools import partial
from typing import Any

from nicegui import ui

from blemish.console.paths import ROOT
from blemish.console.people.password_panel import draw_password
from blemish.console.settings.access_keys_panel import AccessKeysPanel
from blemish.console.settings.sessions_panel import SessionsPanel
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.permissions import may_act
from blemish.console.ui.pill import pill
from blemish.console.ui.table import table
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.limits import MIB, Limits
from blemish.engine.backbones.catalogue import current_name
from blemish.engine.backbones.installed_weights import default_backbone, packaged_backbones
from blemish.engine.errors import BackboneError
from blemish.service.storage_use import storage_use
from blemish.service.training.backbones import BUILT_IN
from blemish.storage.errors import ObjectError

STYLE = (
    f'<link rel="stylesheet" href="{ROOT}/static/projects.css">'
    f'<link rel="stylesheet" href="{ROOT}/static/settings.css">'
)

PACKAGES = {
    "Blemish": "blemish",
    "ONNX Runtime": "onnxruntime",
    "NiceGUI": "nicegui",
}

API_VERSION = "2020-11-20"
"""Of the API of Amazon Lookout for Vision. Source: its service model."""


@page("/settings", title="Settings")
async def settings() -> None:
    """Show the settings."""
    looking = visitor()
    backbones = await in_thread(_backbones, looking)
    versions = await in_thread(_versions, looking)
    ui.add_head_html(STYLE)
    with frame("Settings"):
        with ui.element("div").classes("head"):
            heading("Settings")
            ui.element("div").classes("room")
            if await may_act(looking, "iam:ListUsers"):
                link("Users", "/users")
            if await may_act(looking, "iam:ListAccessKeys"):
                link("Kiosk links", "/kiosks")
            if await may_act(looking, "cloudtrail:LookupEvents"):
                link("Who did what", "/audit")
        await draw_password()
        await AccessKeysPanel().draw()
        await SessionsPanel().draw()
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("stack"):
                _facts("Limits", limit_facts(looking.services.limits))
            with ui.element("div").classes("stack"):
                room = ui.element("div")
                _draw_backbones(backbones, looking.services.default_backbone)
                _facts("Versions", versions)
        with room:
            waiting = text("Measuring the storage ...", classes="quiet", tag="p")

        async def measure() -> None:
            use = await in_thread(storage_use, looking.services.directory)
            facts = {title: size_text(size) for title, size in use.parts.items()}
            facts["Free on the disk"] = f"{size_text(use.free)} of {size_text(use.total)}"
            waiting.delete()
            with room:
                _facts("Storage", facts)

        ui.timer(0.1, measure, once=True)


def limit_facts(limits: Limits) -> dict[str, str]:
    """Return the limits, in words."""
    return {
        "Projects": f"{limits.max_projects:,}",
        "Models in a project": f"{limits.max_models_per_project:,}",
        "Trainings at once": _most(limits.max_concurrent_trainings, "the others wait"),
        "Running models": _most(limits.max_hosted_models, "as many as fit into memory"),
        "Inference units of a model": f"{limits.max_inference_units:,}",
        "Requests a second, each operation": _most(limits.max_requests_per_s, "any number"),
        "Longest side of an image": f"{limits.image_min_side:,} to {limits.image_max_side:,} px",
        "File of an image or a mask": f"{size_text(limits.detect_body_bytes)} at most",
        "Training set": f"{limits.max_training_images:,} images",
        "Test set": f"{limits.max_test_images:,} images",
        "Masks": (
            f"{limits.max_masked_training_images:,} for training, "
            f"{limits.max_masked_test_images:,} for testing"
        ),
        "Needed to train with one set": (
            f"{limits.single_min_normal} normal, {limits.single_min_anomaly} anomalous"
        ),
        "Needed to train with two sets": (
            f"{limits.train_min_normal} normal to train; {limits.test_min_labeled} labelled, "
            f"{limits.test_min_normal} normal and {limits.test_min_anomaly} anomalous to test"
        ),
        "Masks that an anomaly type needs": (
            f"{limits.single_min_masks_per_type} in one set, {limits.two_min_masks_per_type} in two"
        ),
        "Anomaly types": (
            f"{limits.max_anomaly_types}, {limits.max_anomaly_types_per_mask} in one mask"
        ),
        "Tags of a model": f"{limits.max_tags_per_model}",
        "Images of a trial": f"{limits.max_trial_images:,}",
        "Images of a batch": f"{limits.max_batch_images:,}",
        "Manifest": f"{size_text(limits.max_manifest_bytes)} at most",
    }


def size_text(size: int) -> str:
    """Return a number of bytes for people."""
    if size < 1024:
        return f"{size} bytes"
    number = size / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:,.1f} {unit}".replace(".0 ", " ")
        number /= 1024
    return f"{number:,.1f} TiB"


def _most(number: int | None, otherwise: str) -> str:
    return otherwise.capitalize() if number is None else f"{number:,}"


def _versions(looking: Visitor) -> dict[str, str]:
    versions = {title: importlib.metadata.version(name) for title, name in PACKAGES.items()}
    versions["API of Amazon Lookout for Vision"] = API_VERSION
    versions["Python"] = platform.python_version()
    database, _, version = looking.services.database_version().partition(" ")
    versions[database] = version
    versions["System"] = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return versions


def _backbones(looking: Visitor) -> list[tuple[str, str, str]]:
    """Return the backbones: name, architecture and size, licence or the problem with it."""
    folder = looking.services.backbones
    backbones = [(own.name, own.architecture, own.licence) for own in packaged_backbones()]
    try:
        names = folder.names()
    except ObjectError as error:
        return [*backbones, ("shared backbones", "cannot be listed", str(error))]
    for name in names:
        try:
            info = folder.info(name)
        except (BackboneError, ObjectError) as error:
            backbones.append((name, "cannot be used", str(error)))
        else:
            size = f"{info.size_bytes / MIB:.0f} MiB"
            backbones.append((name, f"{info.architecture}, {size}", info.licence))
    return backbones


def _draw_backbones(backbones: list[tuple[str, str, str]], default: str) -> None:
    used = default_backbone() if default == BUILT_IN else current_name(default)
    with ui.element("section").classes("panel"):
        heading("Backbones", 2)
        table(
            (),
            [
                (partial(_draw_backbone, name, in_use=name == used), description, licence)
                for name, description, licence in backbones
            ],
        )
        if used not in {name for name, _, _ in backbones}:
            text(f"In use is the file {used}.", tag="p")
        with ui.element("p").classes("quiet"):
            text("On the server, ")
            text("blemish backbone pull NAME", tag="code")
            text(" adds one.")


def _draw_backbone(name: str, *, in_use: bool) -> None:
    with ui.element("span").classes("line"):
        text(name, tag="strong")
        if in_use:
            pill("in use", "good")


def _facts(title: str, facts: Mapping[str, Any]) -> None:
    with ui.element("section").classes("panel"):
        heading(title, 2)
        with ui.element("dl").classes("facts"):
            for name, value in facts.items():
                text(name, tag="dt")
                text(value, tag="dd")
