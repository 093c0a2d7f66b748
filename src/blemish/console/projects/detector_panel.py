"""The panel of the detector settings of a project, on its overview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say, say_all
from blemish.console.masks.region_masks import RegionOwner
from blemish.console.masks.region_preview import region_preview
from blemish.console.ui.frame import text, visitor
from blemish.domain.detector_settings import Sensitivity

SENSITIVITIES = {
    str(Sensitivity.STRICT): later("Strict: 1% false alarms"),
    str(Sensitivity.BALANCED): later("Balanced: 5% false alarms"),
    str(Sensitivity.TOLERANT): later("Tolerant: 10% false alarms"),
}

EVERYTHING = ""
KINDS = {
    EVERYTHING: later("None: everything counts"),
    "Ignored": later("What it paints is ignored"),
    "OfInterest": later("What it paints alone counts"),
}

FOR_NEXT = later(
    "The next model gets these settings; models that exist keep theirs. The "
    "sensitivity applies to trainings with fewer than ten anomalies. A model's "
    "message says how sure its rate is."
)


async def detector_panel(project: str, settings: Mapping[str, Any]) -> None:
    """Draw the settings of a project's detectors, to be changed by whoever may."""
    may = await visitor().may("UpdateDetectorSettings", ProjectName=project)
    with ui.element("section").classes("panel detector").props("aria-labelledby=detector"):
        with ui.element("h2").props("id=detector"):
            text(say("Detector"))
        if not may:
            _facts(settings)
            await region_preview(RegionOwner(project=project), settings.get("Regions") or {})
            return
        with ui.element("div").classes("line"):
            sensitivity = ui.select(
                say_all(SENSITIVITIES), label=say("Sensitivity"), value=settings["Sensitivity"]
            )
            resolution = ui.input(say("Resolution (auto, or pixels)"), value=settings["Resolution"])
            regions = settings.get("Regions") or {}
            kind = ui.select(
                say_all(KINDS), label=say("Region mask"), value=next(iter(regions), EVERYTHING)
            )
            address = ui.input(
                say("Its address, s3://bucket/key"), value=next(iter(regions.values()), "")
            )
            mixed = settings.get("MixedSizes")
            sizes = ui.checkbox(
                say("Mixed sizes: images are resized"),
                value=visitor().services.mixed_sizes if mixed is None else mixed,
            )
            save = ui.button(say("Save settings"))
        await region_preview(RegionOwner(project=project), regions)
        text(say(FOR_NEXT), tag="p", classes="quiet")

    async def change() -> None:
        await visitor().call(
            "UpdateDetectorSettings",
            ProjectName=project,
            DetectorSettings={
                "Sensitivity": sensitivity.value,
                "Resolution": resolution.value.strip() or "auto",
                "MixedSizes": sizes.value,
                "Regions": (
                    {} if kind.value == EVERYTHING else {kind.value: address.value.strip()}
                ),
            },
        )
        ui.notify(say("The next model gets these settings."))

    save.on_click(change)


def _facts(settings: Mapping[str, Any]) -> None:
    """Draw the settings for visitors who may not change them."""
    mixed = settings.get("MixedSizes")
    facts = {
        say("Sensitivity"): say(SENSITIVITIES[settings["Sensitivity"]]),
        say("Resolution"): settings["Resolution"],
        say("Mixed sizes"): say("the server's setting")
        if mixed is None
        else say("yes")
        if mixed
        else say("no"),
    }
    with ui.element("dl").classes("facts"):
        for title, value in facts.items():
            text(title, tag="dt")
            text(value, tag="dd")
