"""Bring images: from this computer, from a bucket, or by a manifest."""

from __future__ import annotations

from collections.abc import Collection

from nicegui import ui
from nicegui.element import Element

from blemish.console.auth.guard import ROOT
from blemish.console.images.bucket_import import FromBucket, FromManifest
from blemish.console.ui.frame import frame, heading, link, page, project_path, text, visitor

DENIED = (
    "Your access key lets you look at this project, and not change it "
    "(lookoutvision:UpdateDatasetEntries). Ask whoever gave you the key."
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


@page("/projects/{project}/add", title="Bring images")
async def bring(project: str) -> None:
    """Show the ways in which images come into a project."""
    who = visitor()
    found = (await who.call("DescribeProject", ProjectName=project))["ProjectDescription"]
    kinds = {each["DatasetType"] for each in found["Datasets"]}
    may = await who.may("UpdateDatasetEntries", ProjectName=project, DatasetType="train")
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/add_images.css">')
    with frame("Bring images", project=project, here="images"):
        with ui.element("div").classes("head"):
            heading("Bring images")
            ui.element("div").classes("room")
            link("Show the images", project_path(project, "/images"), classes="plain")
        if not may:
            text(DENIED, classes="problem", tag="p")
        ImageUpload(project, kinds=kinds, most_bytes=who.services.limits.detect_body_bytes, may=may)
        with ui.element("div").classes("columns"):
            FromBucket(project, may=may)
            FromManifest(project, may=may)
