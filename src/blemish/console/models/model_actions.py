"""What can be done with a model: start, stop, delete; and how its status is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.ui.frame import heading, text, visitor
from blemish.domain.entities import ModelStatus

MOVING = frozenset(
    {
        ModelStatus.TRAINING,
        ModelStatus.STARTING_HOSTING,
        ModelStatus.STOPPING_HOSTING,
        ModelStatus.SYSTEM_UPDATING,
        ModelStatus.DELETING,
    }
)
"""Somebody works on the model; another status follows by itself."""

STARTABLE = frozenset({ModelStatus.TRAINED, ModelStatus.HOSTING_FAILED})
DELETABLE = STARTABLE | {ModelStatus.TRAINING_FAILED}

POLL_S = 1.0
"""How often a page looks whether a status changed."""

FORBIDDEN = "The policies of your access key do not allow it."

STATUS_TEXTS: Mapping[str, tuple[str, str]] = {
    ModelStatus.TRAINING: ("training", "busy"),
    ModelStatus.TRAINED: ("trained", "good"),
    ModelStatus.TRAINING_FAILED: ("training failed", "bad"),
    ModelStatus.STARTING_HOSTING: ("starting", "busy"),
    ModelStatus.HOSTED: ("running", "good"),
    ModelStatus.HOSTING_FAILED: ("start failed", "bad"),
    ModelStatus.STOPPING_HOSTING: ("stopping", "busy"),
    ModelStatus.SYSTEM_UPDATING: ("updating", "busy"),
    ModelStatus.DELETING: ("being deleted", "busy"),
}
"""What people read of a status, and how it looks."""


def style() -> None:
    """Load the style sheet of the pages about models."""
    ui.add_head_html('<link rel="stylesheet" href="/console/static/models.css">')


def status_pill(status: str) -> None:
    """Draw where a model stands."""
    told, look = STATUS_TEXTS.get(status, (status, ""))
    text(told, classes=f"pill {look}")


def share(value: float | None) -> str:
    """Return a share as people read it."""
    return "-" if value is None else f"{value:.3f}"


async def allowed(project: str, version: str) -> frozenset[str]:
    """Return which of the actions the policies let the visitor take."""
    named: dict[str, Any] = {"ProjectName": project, "ModelVersion": version}
    wanted = ("StartModel", "StopModel", "DeleteModel")
    return frozenset([each for each in wanted if await visitor().may(each, **named)])


def actions(project: str, model: Mapping[str, Any], may: frozenset[str]) -> None:
    """Draw the buttons that fit a model's status; what the policies forbid says so."""
    version, status = model["ModelVersion"], model["Status"]
    named = {"ProjectName": project, "ModelVersion": version}

    async def start() -> None:
        await visitor().call("StartModel", MinInferenceUnits=1, **named)
        ui.notify(f"Model {version} starts.")

    async def stop() -> None:
        await visitor().call("StopModel", **named)
        ui.notify(f"Model {version} stops.")

    if status in STARTABLE:
        _button("Start", "play_arrow", f"Start model {version}", start, "StartModel" in may)
    if status == ModelStatus.HOSTED:
        _button("Stop", "stop", f"Stop model {version}", stop, "StopModel" in may)
    if status in DELETABLE:
        dialog = _deletion(project, version)
        _button("Delete", "delete", f"Delete model {version}", dialog.open, "DeleteModel" in may)


def _button(told: str, icon: str, name: str, act: Any, may: bool) -> None:
    button = ui.button(told, icon=icon, on_click=act).props("flat dense")
    button.props["aria-label"] = name
    if not may:
        button.disable()
        with button:
            ui.tooltip(FORBIDDEN)


def _deletion(project: str, version: str) -> ui.dialog:
    async def delete() -> None:
        dialog.close()
        await visitor().call("DeleteModel", ProjectName=project, ModelVersion=version)
        ui.notify(f"Model {version} is being deleted.")

    with ui.dialog() as dialog, ui.card():
        dialog.props["aria-label"] = f"Delete model {version}?"
        heading(f"Delete model {version}?", 2)
        text(
            "The model and its tags are gone for good, and another training makes another model. "
            "The evaluation files that it wrote into your bucket stay.",
            tag="p",
        )
        with ui.element("div").classes("line"):
            ui.button("Delete", color="negative", on_click=delete)
            ui.button("Keep it", on_click=dialog.close).props("flat")
    return dialog
