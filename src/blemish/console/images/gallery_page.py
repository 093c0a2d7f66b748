"""The gallery: the images of a project, to be filtered, labelled and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nicegui import ui

from blemish.console.images.entry import DatasetKey
from blemish.console.images.export_requests import export_url
from blemish.console.images.gallery_requests import dataset_description
from blemish.console.language.messages import later, say, say_all
from blemish.console.paths import ROOT, project_path
from blemish.console.ui.frame import empty, frame, heading, labelled, link, page, text, visitor
from blemish.domain.entities import DatasetStatus, DatasetType
from blemish.interchange.exports import ALL
from blemish.interchange.registry import FORMATS

SETS = {"train": later("Training set"), "test": later("Test set")}

POLL_S = 1.0
"""Between two looks at a data set that is being made."""

NOT_YET = {
    "train": (
        later("No images yet"),
        later("Add images of your product: first good ones, then some with each kind of anomaly."),
    ),
    "test": (
        later("No test set"),
        later("Without one, some images of the training set are kept back to measure a model by."),
    ),
}


EXPORTS = {ALL: later("ZIP of all formats")} | {
    known.name: known.title[:1].upper() + known.title[1:] for known in FORMATS
}
"""Format of an archive -> what people read."""


class Gallery(ui.element, component="../static/gallery.js"):
    """The images of a data set in a browser, which draws only those in sight."""

    def __init__(self, project: str, kind: str, *, labels: bool, removes: bool) -> None:
        """Show a data set.

        Args:
            project: name of the project.
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


@page("/projects/{project}/images", title=later("Images"))
async def images(project: str) -> None:
    """Show the training set or the test set of a project."""
    looking = visitor()
    wanted = ui.context.client.request.query_params.get("set")
    dataset = DatasetKey(
        project=project, type=DatasetType.TEST if wanted == "test" else DatasetType.TRAIN
    )
    await looking.call("DescribeProject", ProjectName=project)
    description = await dataset_description(looking, dataset)
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/gallery.css">')
    with frame(say("Images"), project=project, section="images"):
        has_images = description is not None and description["ImageStats"]["Total"] > 0
        may_label = await looking.may("UpdateDatasetEntries", **dataset.names)
        _head(project, dataset.type, has_images=has_images, may_add=may_label)
        if not has_images:
            _none(project, dataset.type, description, may_add=may_label)
            return
        ui.context.slot.parent.classes("with-gallery")
        Gallery(
            project,
            dataset.type,
            labels=may_label,
            removes=await looking.may("DeleteDatasetEntries", **dataset.names),
        )


def _head(project: str, kind: str, *, has_images: bool, may_add: bool) -> None:
    with ui.element("div").classes("head"):
        heading(say("Images"))
        with labelled(ui.element("nav").classes("sets"), say("Data sets")):
            for name, title in say_all(SETS).items():
                tab = link(title, project_path(project, f"/images?set={name}"))
                if name == kind:
                    tab.props("aria-current=page")
        ui.element("div").classes("room")
        if has_images:
            _export_button(project)
        if may_add:
            _add_button(project)


def _export_button(project: str) -> None:
    """Draw the formats in which all images of the project can be had."""
    with ui.button(say("Export"), icon="download").props("outline"), ui.menu():
        for name, title in say_all(EXPORTS).items():
            ui.menu_item(title).props["href"] = export_url(project, name)


def _add_button(project: str) -> None:
    button = ui.button(say("Add images"), icon="add_photo_alternate")
    button.props["href"] = f"{ROOT}{project_path(project, '/add')}"


def _none(project: str, kind: str, description: Mapping[str, Any] | None, *, may_add: bool) -> None:
    """Say why no image is shown."""
    description = description or {}
    status = description.get("Status")
    if status == DatasetStatus.CREATE_IN_PROGRESS:
        with empty(
            say("The images are being read"), say("They are shown here as soon as they are.")
        ):
            ui.spinner(size="32px")
        ui.timer(POLL_S, lambda: ui.run_javascript("location.reload()"), once=True)
        return
    with empty(*map(say, NOT_YET[kind])):
        if status == DatasetStatus.CREATE_FAILED:
            text(str(description.get("StatusMessage", "")), classes="problem", tag="p")
        if may_add:
            _add_button(project)
