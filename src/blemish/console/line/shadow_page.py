"""The page that compares the model of a line with its second model."""

from __future__ import annotations

from nicegui import ui

from blemish.console.line.line_access import (
    CONFIGURE,
    act_on_line,
    line_path,
    line_url,
    may_on_line,
    visible_line,
)
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.table import table
from blemish.console.visitor import in_thread
from blemish.line.line import Line
from blemish.line.shadow_records import AgreementTable, ModelPair, ShadowVerdict
from blemish.station.drift.shares import ShareCount, expected_band

SHOWN = 60
NORMAL_DEVIATIONS = 1.96
"""Of an interval that holds the true share in 95 of 100 cases."""


@page("/line/{name}/compare", title="Second model")
async def compare_models(name: str) -> None:
    """Show how often both models agree, and the images on which they differ."""
    looking = visitor()
    line = await visible_line(looking, name)
    pair = line.pair
    with frame(f"Second model of {name}"):
        with ui.element("div").classes("head"):
            heading(f"Second model of {name}")
            ui.element("div").classes("room")
            link("Full screen", line_path(name), classes="action")
            link("Settings", line_path(name, "/settings"), classes="action")
        if pair is None:
            empty(
                "No second model judges this line",
                "Add a table [shadow] with project and version to the settings: that model judges "
                "the same images silently, and this page compares both.",
            )
            return
        counts = await in_thread(line.shadows.table, pair)
        _draw_agreement(line, pair, counts)
        if await may_on_line(looking, CONFIGURE, name):
            ui.button(f"Let {pair.second} judge", on_click=lambda: _ask_to_exchange(name, pair))
        differing = await in_thread(lambda: line.shadows.differing(pair, limit=SHOWN))
        await _draw_differing(line, differing)


def _draw_agreement(line: Line, pair: ModelPair, counts: AgreementTable) -> None:
    with ui.element("section").classes("panel"):
        heading("Agreement", 2)
        text(f"{pair.first} judges; {pair.second} judges silently.", tag="p")
        if line.shadow.message:
            text(line.shadow.message, classes="problem", tag="p")
        table(
            ("Model", f"{pair.second}: OK", f"{pair.second}: not OK"),
            [
                (f"{pair.first}: OK", f"{counts.both_ok:,}", f"{counts.second_alone:,}"),
                (f"{pair.first}: not OK", f"{counts.first_alone:,}", f"{counts.both_not_ok:,}"),
            ],
        )
        text(_agreement_words(counts), tag="p")
        text(
            f"{line.shadow.skipped:,} images since the start were skipped: the second model works "
            "a quarter of the time at most, so that it holds no verdict up.",
            classes="quiet",
            tag="p",
        )


def _agreement_words(counts: AgreementTable) -> str:
    if not counts.images:
        return "No image was judged by both yet."
    same = counts.both_ok + counts.both_not_ok
    count = ShareCount(images=counts.images, anomalous=same)
    interval = expected_band(count, deviations=NORMAL_DEVIATIONS)
    return (
        f"The same on {same:,} of {counts.images:,} images, "
        f"{interval.low:.1%} to {interval.high:.1%} with 95 % confidence."
    )


async def _draw_differing(line: Line, differing: list[ShadowVerdict]) -> None:
    with ui.element("section").classes("panel"):
        heading("Where they differ", 2)
        if not differing:
            text("Nowhere so far.", classes="quiet", tag="p")
            return
        with ui.element("ul").classes("cards").props('aria-label="Images where the models differ"'):
            for verdict in differing:
                entry = await in_thread(line.history.entry, verdict.id)
                with ui.element("li").classes("panel"):
                    if entry is None or entry.verdict.image_path is None:
                        text("The image is not stored.", classes="quiet", tag="p")
                    else:
                        image = ui.element("img").props("loading=lazy")
                        image.props["src"] = line_url(line.name, f"/images/{verdict.id}/thumbnail")
                        image.props["alt"] = entry.verdict.image_name
                    words = ("not OK", "OK") if verdict.first_is_anomalous else ("OK", "not OK")
                    text(f"First: {words[0]}. Second: {words[1]}.", tag="p")
                    text(
                        f"Second score {verdict.score:.2f}, limit {verdict.threshold:.2f}",
                        classes="quiet",
                        tag="p",
                    )


def _ask_to_exchange(name: str, pair: ModelPair) -> None:
    async def exchange() -> None:
        looking = visitor()
        lines = looking.services.lines
        await act_on_line(
            looking, CONFIGURE, name, "UpdateLine", lambda: lines.exchange_models(name)
        )
        ui.navigate.reload()

    confirm(
        f"Let {pair.second} judge {name}?",
        f"It judges from the next image on, and {pair.first} judges silently. No image is lost.",
        "Exchange",
        exchange,
    )
