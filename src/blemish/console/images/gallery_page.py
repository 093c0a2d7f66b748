"""The images of a project, by thousands: found, labelled and removed."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from blemish.console.auth.guard import ROOT
from blemish.console.images.gallery_requests import described
from blemish.console.ui.frame import (
    empty,
    frame,
    heading,
    link,
    page,
    project_path,
    text,
    visitor,
)
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetStatus

SETS = {"train": "Training set", "test": "Test set"}

POLL_S = 1.0
"""Between two looks at a data set that is being made."""

NOT_YET = {
    "train": (
        "No images yet",
        "Bring images of your product: at first good ones, then some with each kind of fault.",
    ),
    "test": (
        "No test set",
        "Without one, some images of the training set are kept back to measure a model by.",
    ),
}


class Gallery(ui.element, component="../static/gallery.js"):
    """The images of a data set in a browser, which draws those alone that are in sight."""

    def __init__(self, project: str, kind: str, *, labels: bool, removes: bool) -> None:
        """Show a data set.

        Args:
            project: whose it is.
            kind: train or test.
            labels: whether the visitor may label.
            removes: whether the visitor may remove images.
        """
        super().__init__()
        at = f"{ROOT}{project_path(project)}"
        self._props["source"] = f"{ROOT}/gallery/{quote(project, safe='')}/{kind}"
        self._props["painter"] = f"{at}/paint?set={kind}&ref="
        self._props["training"] = f"{at}/train"
        self._props["labels"] = labels
        self._props["removes"] = removes


@page("/projects/{project}/images", title="Images")
async def images(project: str) -> None:
    """Show the training set or the test set of a project."""
    who = visitor()
    asked = ui.context.client.request.query_params.get("set")
    kind = "test" if asked == "test" else "train"
    await who.call("DescribeProject", ProjectName=project)
    found = {each: await described(who, project, each) for each in SETS}
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/gallery.css">')
    with frame("Images", project=project, here="images"):
        _head(project, kind)
        description = found[kind]
        if description is None or description["ImageStats"]["Total"] == 0:
            _none(project, kind, description)
            return
        ui.context.slot.parent.classes("with-gallery")
        Gallery(
            project,
            kind,
            labels=await _may(who, "UpdateDatasetEntries", project, kind),
            removes=await _may(who, "DeleteDatasetEntries", project, kind),
        )


async def _may(who: Visitor, operation: str, project: str, kind: str) -> bool:
    return await who.may(operation, ProjectName=project, DatasetType=kind)


def _head(project: str, kind: str) -> None:
    with ui.element("div").classes("head"):
        heading("Images")
        with ui.element("nav").classes("sets").props('aria-label="Data sets"'):
            for each, told in SETS.items():
                tab = link(told, project_path(project, f"/images?set={each}"))
                if each == kind:
                    tab.props("aria-current=page")
        ui.element("div").classes("room")
        _add(project)


def _add(project: str) -> None:
    button = ui.button("Add images", icon="add_photo_alternate")
    button.props["href"] = f"{ROOT}{project_path(project, '/add')}"


def _none(project: str, kind: str, description: object) -> None:
    """Say why no image is shown."""
    found = description if isinstance(description, dict) else {}
    status = found.get("Status")
    if status == DatasetStatus.CREATE_IN_PROGRESS:
        with empty("The images are being read", "They are shown here as soon as they are."):
            ui.spinner(size="32px")
        ui.timer(POLL_S, lambda: ui.run_javascript("location.reload()"), once=True)
        return
    with empty(*NOT_YET[kind]):
        if status == DatasetStatus.CREATE_FAILED:
            text(str(found.get("StatusMessage", "")), classes="problem", tag="p")
        _add(project)
