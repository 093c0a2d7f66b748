"""The buttons of a model: start, stop, and apart from them delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.paths import project_path
from blemish.console.ui.dialog import ask_by_name
from blemish.console.ui.frame import visitor
from blemish.domain.lifecycle import MODEL_DELETABLE, MODEL_STARTABLE, MODEL_STOPPABLE

POLL_S = 1.0
"""How often a page looks whether a status changed."""

FORBIDDEN = later("You may not do it: no policy of yours allows it.")


def load_style() -> None:
    """Load the style sheet of the pages about models."""
    ui.add_head_html('<link rel="stylesheet" href="/console/static/models.css">')


async def allowed_actions(project: str, version: str) -> frozenset[str]:
    """Return which of the actions the policies let the visitor take."""
    names: dict[str, Any] = {"ProjectName": project, "ModelVersion": version}
    operations = ("StartModel", "StopModel", "DeleteModel")
    return frozenset([name for name in operations if await visitor().may(name, **names)])


def draw_actions(project: str, model: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Draw the buttons that start and stop a model, as its status and the policies allow."""
    version, status = model["ModelVersion"], model["Status"]
    names = {"ProjectName": project, "ModelVersion": version}

    async def start() -> None:
        await visitor().call("StartModel", MinInferenceUnits=1, **names)
        ui.notify(say("Model {version} starts.", version=version))

    async def stop() -> None:
        await visitor().call("StopModel", **names)
        ui.notify(say("Model {version} stops.", version=version))

    if status in MODEL_STARTABLE and "StartModel" in allowed:
        _button(say("Start"), "play_arrow", say("Start model {version}", version=version), start)
    if status in MODEL_STOPPABLE and "StopModel" in allowed:
        _button(say("Stop"), "stop", say("Stop model {version}", version=version), stop)


def draw_delete(project: str, model: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Draw the button that deletes a model, which stands apart from the others."""
    version = model["ModelVersion"]
    if model["Status"] in MODEL_DELETABLE and "DeleteModel" in allowed:
        button = _button(
            say("Delete"),
            "delete",
            say("Delete model {version}", version=version),
            lambda: _ask_to_delete(project, version),
        )
        button.props("color=negative")


def _button(word: str, icon: str, name: str, act: Any) -> ui.button:
    button = ui.button(word, icon=icon, on_click=act).props("flat dense")
    button.props["aria-label"] = name
    return button


def _ask_to_delete(project: str, version: str) -> None:
    async def delete() -> None:
        trash = visitor().services.trash
        await visitor().act_if_allowed(
            "MoveModelToTrash",
            "DeleteModel",
            lambda name: trash.move_model(project, version, by=name),
            ProjectName=project,
            ModelVersion=version,
        )
        ui.notify(say("Model {version} is in the trash. Restore it within a day.", version=version))
        ui.navigate.to(project_path(project, "/models"))

    with ui.context.client.content:  # a button's own slot is drawn anew when a status changes
        ask_by_name(
            say("Delete model {version}?", version=version),
            say(
                "It goes to the trash. Restore it within a day; then the model and its tags "
                "are lost. The evaluation files that it wrote into your bucket stay."
            ),
            f"{project} {version}",
            delete,
        )
