"""The present regions of a project or a model on a typical image, with the way to the painter."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from nicegui import ui

from blemish.console.images.image_requests import thumbnail_url
from blemish.console.language.messages import later, say
from blemish.console.masks.region_masks import RegionOwner, put_regions
from blemish.console.masks.region_requests import region_overlay_url, typical_images
from blemish.console.paths import project_path
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import link, text, visitor

MEANINGS = {
    "Ignored": later("What is painted is ignored."),
    "OfInterest": later("Only what is painted counts."),
}
EVERYTHING_COUNTS = later("No regions: the whole image counts.")


async def region_preview(
    owner: RegionOwner, regions: Mapping[str, str], *, locked: bool = False
) -> None:
    """Draw the regions on an image, and the buttons that change them.

    Args:
        owner: whose regions they are.
        regions: `Regions` as in the API; empty if everything counts.
        locked: whether nobody may change them now.
    """
    names = {"ProjectName": owner.project, "DatasetType": "train"}
    may_look = await visitor().may("ListDatasetEntries", **names)
    images = await typical_images(visitor(), owner.project) if may_look else ()
    with ui.element("div").classes("line regions"):
        if images and regions:
            _image(owner, images[0].ref)
        with ui.element("div").classes("stack"):
            meaning = next(iter(regions), "")
            text(say(MEANINGS.get(meaning, EVERYTHING_COUNTS)), tag="p")
            if locked or not await visitor().may(owner.change, **owner.names):
                return
            with ui.element("div").classes("line"):
                if images:
                    query = f"?{urlencode({'version': owner.version})}" if owner.version else ""
                    link(
                        say("Paint on an image"),
                        project_path(owner.project, f"/regions{query}"),
                        classes="action",
                    )
                if regions and not owner.version:
                    ui.button(
                        say("Clear the regions"), on_click=lambda: _ask_to_clear(owner)
                    ).props("flat")


def _image(owner: RegionOwner, ref: str) -> None:
    with ui.element("div").classes("region-image"):
        ui.element("img").props(f'src="{thumbnail_url(ref)}" alt="A typical image"')
        overlay = ui.element("img").props('alt="Its regions"').classes("overlay")
        overlay.props["src"] = region_overlay_url(owner, ref)


def _ask_to_clear(owner: RegionOwner) -> None:
    async def clear() -> None:
        await put_regions(visitor(), owner, {})
        ui.navigate.reload()

    with ui.context.client.content:
        confirm(
            say("Clear the regions?"),
            say("The next model looks at the whole image. Models that exist keep their regions."),
            say("Clear"),
            clear,
        )
