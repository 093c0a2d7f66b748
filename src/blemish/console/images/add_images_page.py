"""The page Add images: from this computer, from a bucket, or by a manifest."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from nicegui import ui
from nicegui.element import Element

from blemish.console.images.bucket_import import BucketImport
from blemish.console.images.manifest_import import ManifestImport
from blemish.console.language.messages import later, say
from blemish.console.paths import ROOT, project_path
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.interchange.label_names import LABEL_NAMES

DENIED = later(
    "You may look at this project, and not change it (lookoutvision:UpdateDatasetEntries). "
    "Ask an administrator."
)


class ImageUpload(Element, component="../static/add_images.js"):
    """Files and folders of this computer, sent as many requests; their paths say their labels."""

    def __init__(self, project: str, *, kinds: Collection[str], most_bytes: int, may: bool) -> None:
        super().__init__()
        self._props["url"] = f"{ROOT}/upload/{project}"
        self._props["gallery"] = f"{ROOT}{project_path(project, '/images')}"
        self._props["two"] = "test" in kinds
        self._props["most"] = most_bytes
        self._props["may"] = may
        self._props["names"] = {label: list(names) for label, names in LABEL_NAMES.items()}


class LabelledFolder(Element, component="../static/labelled_folder.js"):
    """A folder or an archive with labels of another tool, sent and read as a whole."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._props["url"] = f"{ROOT}/labelled/{quote(project, safe='')}"
        self._props["gallery"] = f"{ROOT}{project_path(project, '/images')}"


@page("/projects/{project}/add", title=later("Add images"))
async def add_images(project: str) -> None:
    """Show the ways in which images come into a project."""
    looking = visitor()
    answer = await looking.call("DescribeProject", ProjectName=project)
    kinds = {dataset["DatasetType"] for dataset in answer["ProjectDescription"]["Datasets"]}
    may = await looking.may("UpdateDatasetEntries", ProjectName=project, DatasetType="train")
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/add_images.css">')
    with frame(say("Add images"), project=project, section="images"):
        with ui.element("div").classes("head"):
            heading(say("Add images"))
            ui.element("div").classes("room")
            link(say("Show the images"), project_path(project, "/images"), classes="plain")
        if not may:
            text(say(DENIED), classes="problem", tag="p")
        most_bytes = looking.services.limits.detect_body_bytes
        LabelledFolder(project)
        ImageUpload(project, kinds=kinds, most_bytes=most_bytes, may=may)
        with ui.element("div").classes("columns"):
            BucketImport(project, may=may)
            ManifestImport(project, may=may)
