"""The page Regions: which parts of the images count, painted on a typical one."""

from __future__ import annotations

from nicegui import ui
from nicegui.element import Element

from blemish.console.language.messages import later, say
from blemish.console.masks.region_masks import RegionOwner
from blemish.console.masks.region_requests import region_painter_url, typical_images
from blemish.console.paths import ROOT, project_path
from blemish.console.ui.frame import empty, frame, link, page, visitor


class RegionPainter(Element, component="../static/region_painter.js"):
    """The canvas and its tools, for the regions of a project or a model."""

    def __init__(self, owner: RegionOwner, *, start: str, may_change: bool, back: str) -> None:
        super().__init__()
        self._props["source"] = region_painter_url(owner)
        self._props["start"] = start
        self._props["query"] = {"version": owner.version}
        self._props["may-change"] = may_change
        self._props["back"] = back


@page("/projects/{project}/regions", title=later("Regions"))
async def paint_regions(project: str, version: str = "", ref: str = "") -> None:
    """Show the painter of the regions of a project; of a model if the query names a version."""
    owner = RegionOwner(project=project, version=version)
    images = await typical_images(visitor(), project)
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/painter.css">')
    with frame(say("Regions"), project=project, section="models" if version else "overview"):
        if not images:
            _nothing(project)
            return
        rest = f"/models/{version}" if version else ""
        RegionPainter(
            owner,
            start=ref or images[0].ref,
            may_change=await visitor().may(owner.change, **owner.names),
            back=f"{ROOT}{project_path(project, rest)}",
        )


def _nothing(project: str) -> None:
    with empty(
        say("No images to paint on"), say("Add images of the product to the training set first.")
    ):
        link(say("Add images"), project_path(project, "/add"))
