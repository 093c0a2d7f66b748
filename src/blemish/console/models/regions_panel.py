"""The panel of the regions of a model that was trained with some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import percent_text
from blemish.console.masks.region_masks import RegionOwner
from blemish.console.masks.region_preview import region_preview
from blemish.console.ui.frame import heading, text
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import BundleInfo

MOVED = later(
    "The regions were changed after the training. All numbers on this page are "
    "older than the regions in force: they were measured with those of the "
    "training."
)


async def regions_panel(project: str, model: Mapping[str, Any], info: BundleInfo) -> None:
    """Draw which parts of the images count for a model, to be moved by whoever may."""
    if info.regions is None:
        return
    regions = (model.get("DetectorSettings") or {}).get("Regions") or {}
    owner = RegionOwner(project=project, version=model["ModelVersion"])
    with ui.element("section").classes("panel"):
        heading(say("Regions"), 2)
        if info.regions.moved:
            text(say(MOVED), tag="p", classes="warning")
        text(
            say(
                "{inspected_share} of each image counts.",
                inspected_share=percent_text(info.regions.inspected_share),
            ),
            tag="p",
        )
        await region_preview(owner, regions, locked=model["Status"] not in MODEL_ADJUSTABLE)
