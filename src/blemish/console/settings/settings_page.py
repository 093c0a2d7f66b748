"""The settings: access keys, limits, backbones, storage, versions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from functools import partial
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.console.language.visitor_language import ENGLISH, LANGUAGES, current_language
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


@page("/settings", title=later("Settings"))
async def settings() -> None:
    """Show the settings."""
    looking = visitor()
    backbones = await in_thread(_backbones, looking)
    versions = await in_thread(_versions, looking)
    ui.add_head_html(STYLE)
    with frame(say("Settings")):
        with ui.element("div").classes("head"):
            heading(say("Settings"))
            ui.element("div").classes("room")
            if await may_act(looking, "iam:ListUsers"):
                link(say("Users"), "/users")
            if await may_act(looking, "iam:ListAccessKeys"):
                link(say("Kiosk links"), "/kiosks")
            if await may_act(looking, "cloudtrail:LookupEvents"):
                link(say("Who did what"), "/audit")
        _draw_language()
        await draw_password()
        await AccessKeysPanel().draw()
        await SessionsPanel().draw()
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("stack"):
                _facts(say("Limits"), limit_facts(looking.services.limits))
            with ui.element("div").classes("stack"):
                room = ui.element("div")
                _draw_backbones(backbones, looking.services.default_backbone)
                _facts(say("Versions"), versions)
        with room:
            waiting = text(say("Measuring the storage ..."), classes="quiet", tag="p")

        async def measure() -> None:
            use = await in_thread(storage_use, looking.services.directory)
            facts = {say(title): size_text(size) for title, size in use.parts.items()}
            facts[say("Free on the disk")] = say(
                "{free} of {total}",
                free=size_text(use.free),
                total=size_text(use.total),
            )
            waiting.delete()
            with room:
                _facts(say("Storage"), facts)

        ui.timer(0.1, measure, once=True)


def _draw_language() -> None:
    """Draw the choice of the language, which the browser remembers."""
    code = current_language()
    with ui.element("section").classes("panel"):
        ui.select(
            dict(LANGUAGES),
            value=code if code in LANGUAGES else ENGLISH,
            label=say("Language"),
            on_change=lambda event: ui.run_javascript(f"setLanguage('{event.value}')"),
        )


def limit_facts(limits: Limits) -> dict[str, str]:
    """Return the limits, in words."""
    return {
        say("Projects"): number_text(limits.max_projects),
        say("Models in a project"): number_text(limits.max_models_per_project),
        say("Trainings at once"): _most(limits.max_concurrent_trainings, say("The others wait")),
        say("Running models"): _most(limits.max_hosted_models, say("As many as fit into memory")),
        say("Inference units of a model"): number_text(limits.max_inference_units),
        say("Requests a second, each operation"): _most(
            limits.max_requests_per_s, say("Any number")
        ),
        say("Longest side of an image"): say(
            "{image_min_side} to {image_max_side} px",
            image_min_side=number_text(limits.image_min_side),
            image_max_side=number_text(limits.image_max_side),
        ),
        say("File of an image or a mask"): say(
            "{size_text} at most", size_text=size_text(limits.detect_body_bytes)
        ),
        say("Training set"): say(
            "{max_training_images} images",
            max_training_images=number_text(limits.max_training_images),
        ),
        say("Test set"): say(
            "{max_test_images} images", max_test_images=number_text(limits.max_test_images)
        ),
        say("Masks"): (
            say(
                "{max_masked_training_images} for training, {max_masked_test_images} for testing",
                max_masked_training_images=number_text(limits.max_masked_training_images),
                max_masked_test_images=number_text(limits.max_masked_test_images),
            )
        ),
        **_training_facts(limits),
        say("Tags of a model"): f"{limits.max_tags_per_model}",
        say("Images of a trial"): number_text(limits.max_trial_images),
        say("Images of a batch"): number_text(limits.max_batch_images),
        say("Manifest"): say("{size_text} at most", size_text=size_text(limits.max_manifest_bytes)),
    }


def _training_facts(limits: Limits) -> dict[str, str]:
    """Return what a training needs, and how many anomaly types it may have."""
    return {
        say("Needed to train with one set"): (
            say(
                "{single_min_normal} normal, {single_min_anomaly} anomalous",
                single_min_normal=limits.single_min_normal,
                single_min_anomaly=limits.single_min_anomaly,
            )
        ),
        say("Needed to train with two sets"): (
            say(
                "{train_min_normal} normal to train; {test_min_labeled} labelled, "
                "{test_min_normal} normal and {test_min_anomaly} anomalous to test",
                train_min_normal=limits.train_min_normal,
                test_min_labeled=limits.test_min_labeled,
                test_min_normal=limits.test_min_normal,
                test_min_anomaly=limits.test_min_anomaly,
            )
        ),
        say("Masks that an anomaly type needs"): (
            say(
                "{single_min_masks_per_type} in one set, {two_min_masks_per_type} in two",
                single_min_masks_per_type=limits.single_min_masks_per_type,
                two_min_masks_per_type=limits.two_min_masks_per_type,
            )
        ),
        say("Anomaly types"): (
            say(
                "{max_anomaly_types}, {max_anomaly_types_per_mask} in one mask",
                max_anomaly_types=limits.max_anomaly_types,
                max_anomaly_types_per_mask=limits.max_anomaly_types_per_mask,
            )
        ),
    }


def size_text(size: int) -> str:
    """Return a number of bytes for people."""
    if size < 1024:
        return say("{size} bytes", size=size)
    number = size / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if number < 1024:
            digits = 0 if f"{number:.1f}".endswith(".0") else 1
            return f"{number_text(number, digits=digits)} {unit}"
        number /= 1024
    return f"{number_text(number, digits=1)} TiB"


def _most(number: int | None, otherwise: str) -> str:
    return otherwise if number is None else number_text(number)


def _versions(looking: Visitor) -> dict[str, str]:
    versions = {title: importlib.metadata.version(name) for title, name in PACKAGES.items()}
    versions[say("API of Amazon Lookout for Vision")] = API_VERSION
    versions["Python"] = platform.python_version()
    database, _, version = looking.services.database_version().partition(" ")
    versions[database] = version
    versions[say("System")] = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return versions


def _backbones(looking: Visitor) -> list[tuple[str, str, str]]:
    """Return the backbones: name, architecture and size, licence or the problem with it."""
    folder = looking.services.backbones
    backbones = [(own.name, own.architecture, own.licence) for own in packaged_backbones()]
    try:
        names = folder.names()
    except ObjectError as error:
        return [*backbones, (say("shared backbones"), say("cannot be listed"), str(error))]
    for name in names:
        try:
            info = folder.info(name)
        except (BackboneError, ObjectError) as error:
            backbones.append((name, say("cannot be used"), str(error)))
        else:
            size = f"{number_text(info.size_bytes / MIB)} MiB"
            backbones.append((name, f"{info.architecture}, {size}", info.licence))
    return backbones


def _draw_backbones(backbones: list[tuple[str, str, str]], default: str) -> None:
    used = default_backbone() if default == BUILT_IN else current_name(default)
    with ui.element("section").classes("panel"):
        heading(say("Backbones"), 2)
        table(
            (),
            [
                (partial(_draw_backbone, name, in_use=name == used), description, licence)
                for name, description, licence in backbones
            ],
        )
        if used not in {name for name, _, _ in backbones}:
            text(say("In use is the file {used}.", used=used), tag="p")
        with ui.element("p").classes("quiet"):
            text(say("On the server, "))
            text("blemish backbone pull NAME", tag="code")
            text(say(" adds one."))


def _draw_backbone(name: str, *, in_use: bool) -> None:
    with ui.element("span").classes("line"):
        text(name, tag="strong")
        if in_use:
            pill(say("in use"), "good")


def _facts(title: str, facts: Mapping[str, Any]) -> None:
    with ui.element("section").classes("panel"):
        heading(title, 2)
        with ui.element("dl").classes("facts"):
            for name, value in facts.items():
                text(name, tag="dt")
                text(value, tag="dd")
