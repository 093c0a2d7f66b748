"""The page that compares the model of a line with its second model."""

from __future__ import annotations

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text, percent_text
from blemish.console.line.line_access import (
    CONFIGURE,
    act_on_line,
    line_path,
    line_url,
    may_on_line,
    visible_line,
)
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import empty, frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.table import table
from blemish.console.visitor import in_thread
from blemish.line.line import Line
from blemish.line.shadow_records import AgreementTable, ModelPair, ShadowVerdict
from blemish.station.drift.shares import ShareCount, expected_band

SHOWN = 60
NORMAL_DEVIATIONS = 1.96
"""Of an interval that holds the true share in 95 of 100 cases."""


@page("/line/{name}/compare", title=later("Second model"))
async def compare_models(name: str) -> None:
    """Show how often both models agree, and the images on which they differ."""
    looking = visitor()
    line = await visible_line(looking, name)
    pair = line.pair
    with frame(say("Second model of {name}", name=name)):
        with ui.element("div").classes("head"):
            heading(say("Second model of {name}", name=name))
            ui.element("div").classes("room")
            link(say("Full screen"), line_path(name), classes="action")
            link(say("Settings"), line_path(name, "/settings"), classes="action")
        if pair is None:
            empty(
                say("No second model judges this line"),
                say(
                    "Add a table [shadow] with project and version to the settings: that model "
                    "judges the same images silently, and this page compares both."
                ),
            )
            return
        counts = await in_thread(line.shadows.table, pair)
        _draw_agreement(line, pair, counts)
        if await may_on_line(looking, CONFIGURE, name):
            ui.button(
                say("Let {second} judge", second=pair.second),
                on_click=lambda: _ask_to_exchange(name, pair),
            )
        differing = await in_thread(lambda: line.shadows.differing(pair, limit=SHOWN))
        await _draw_differing(line, differing)


def _draw_agreement(line: Line, pair: ModelPair, counts: AgreementTable) -> None:
    with ui.element("section").classes("panel"):
        heading(say("Agreement"), 2)
        text(
            say("{first} judges; {second} judges silently.", first=pair.first, second=pair.second),
            tag="p",
        )
        if line.shadow.message:
            text(line.shadow.message, classes="problem", tag="p")
        table(
            (
                say("Model"),
                say("{second}: OK", second=pair.second),
                say("{second}: not OK", second=pair.second),
            ),
            [
                (
                    say("{first}: OK", first=pair.first),
                    f"{counts.both_ok:,}",
                    f"{counts.second_alone:,}",
                ),
                (
                    say("{first}: not OK", first=pair.first),
                    f"{counts.first_alone:,}",
                    f"{counts.both_not_ok:,}",
                ),
            ],
        )
        text(_agreement_words(counts), tag="p")
        text(
            say(
                "{skipped} images since the start were skipped: the second model works a "
                "quarter of the time at most, so that it holds no verdict up.",
                skipped=number_text(line.shadow.skipped),
            ),
            classes="quiet",
            tag="p",
        )


def _agreement_words(counts: AgreementTable) -> str:
    if not counts.images:
        return say("No image was judged by both yet.")
    same = counts.both_ok + counts.both_not_ok
    count = ShareCount(images=counts.images, anomalous=same)
    interval = expected_band(count, deviations=NORMAL_DEVIATIONS)
    return say(
        "The same on {same} of {images} images, {low} to {high} with 95 % confidence.",
        same=number_text(same),
        images=number_text(counts.images),
        low=percent_text(interval.low, digits=1),
        high=percent_text(interval.high, digits=1),
    )


async def _draw_differing(line: Line, differing: list[ShadowVerdict]) -> None:
    with ui.element("section").classes("panel"):
        heading(say("Where they differ"), 2)
        if not differing:
            text(say("Nowhere so far."), classes="quiet", tag="p")
            return
        with labelled(ui.element("ul").classes("cards"), say("Images where the models differ")):
            for verdict in differing:
                entry = await in_thread(line.history.entry, verdict.id)
                with ui.element("li").classes("panel"):
                    if entry is None or entry.verdict.image_path is None:
                        text(say("The image is not stored."), classes="quiet", tag="p")
                    else:
                        image = ui.element("img").props("loading=lazy")
                        image.props["src"] = line_url(line.name, f"/images/{verdict.id}/thumbnail")
                        image.props["alt"] = entry.verdict.image_name
                    words = (
                        (say("not OK"), "OK")
                        if verdict.first_is_anomalous
                        else ("OK", say("not OK"))
                    )
                    text(
                        say("First: {words}. Second: {words_2}.", words=words[0], words_2=words[1]),
                        tag="p",
                    )
                    text(
                        say(
                            "Second score {score}, limit {threshold}",
                            score=number_text(verdict.score, digits=2),
                            threshold=number_text(verdict.threshold, digits=2),
                        ),
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
        say("Let {second} judge {name}?", second=pair.second, name=name),
        say(
            "It judges from the next image on, and {first} judges silently. No image is lost.",
            first=pair.first,
        ),
        say("Exchange"),
        exchange,
    )
