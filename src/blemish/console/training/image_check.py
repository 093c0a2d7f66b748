"""The check of the labelled images before a training, page by page while the page Train is open."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from nicegui import ui

from blemish.console.http import EXPECTED, problem_text
from blemish.console.images.entry import DatasetKey
from blemish.console.images.image_requests import thumbnail_url
from blemish.console.language.messages import counted, say
from blemish.console.memory import DatasetState
from blemish.console.paths import project_path
from blemish.console.ui.frame import heading, labelled, link, text, visitor
from blemish.console.visitor import in_thread

IMAGES_PER_CALL = 50

PAUSE_S = 0.1
"""The least time between the starts of two calls."""

SHOWN_PROBLEMS = 50


class ImageCheck:
    """A panel that checks images with ValidateDataset, and shows those with problems.

    The timer ends with the page, so nothing more is checked when the page is left.
    """

    def __init__(self, labeled: Mapping[DatasetKey, int]) -> None:
        """Draw the panel and begin.

        Args:
            labeled: dataset -> how many labelled images it has.
        """
        self._visitor = visitor()
        self._waiting = list(labeled)
        self._datasets = tuple(labeled)
        self._total = sum(labeled.values())
        self._states: tuple[DatasetState, ...] = ()
        self._token: str | None = None
        self._checked = 0
        self._problems = 0
        with ui.element("section").classes("panel image-check"):
            heading(say("Check of the images"), 2)
            self._status = ui.label(say("Checking {images}", images=_images(self._total))).props(
                "role=status"
            )
            self._bar = ui.element("progress").classes("training")
            labelled(self._bar.props(f"value=0 max={self._total}"), say("Checked images"))
            self._list = ui.element("ul").classes("cards")
        self._timer = ui.timer(PAUSE_S, self._step)

    async def _step(self) -> None:
        """Check some images more."""
        try:
            if not self._states:
                self._states = await in_thread(self._read_states)
                if self._visitor.services.memory.usable_datasets.find(self._states):
                    self._waiting.clear()
            if self._waiting:
                await self._check_page(self._waiting[0])
            if not self._waiting:
                self._end()
        except EXPECTED as error:
            self._stop(
                say(
                    "The images could not be checked: {problem_text}",
                    problem_text=problem_text(error),
                )
            )

    async def _check_page(self, dataset: DatasetKey) -> None:
        answer = await self._visitor.call(
            "ValidateDataset", **dataset.names, NextToken=self._token, MaxResults=IMAGES_PER_CALL
        )
        self._token = answer.get("NextToken")
        if self._token is None:
            self._waiting.pop(0)
        for problem in answer["Problems"]:
            self._problems += 1
            if self._problems <= SHOWN_PROBLEMS:
                self._draw_problem(dataset, problem["SourceRef"], problem["Reason"])
        self._checked += answer["CheckedImages"]
        self._bar.props(f"value={self._checked}")
        self._status.text = say(
            "Checking {images}: {checked} checked",
            images=_images(self._total),
            checked=self._checked,
        )

    def _read_states(self) -> tuple[DatasetState, ...]:
        """Return the states of the datasets, if the visitor may check them."""
        states = []
        for key in self._datasets:
            self._visitor.check("ValidateDataset", **key.names)
            dataset, _ = self._visitor.services.datasets.describe(key.project, key.type)
            states.append((dataset.id, dataset.updated_at, dataset.status))
        return tuple(states)

    def _end(self) -> None:
        if not self._problems:
            self._visitor.services.memory.usable_datasets.put(self._states, True)
            self._stop(say("All images can be used"))
            return
        shown = (
            say("; the first {shown_problems} are shown", shown_problems=SHOWN_PROBLEMS)
            if self._problems > SHOWN_PROBLEMS
            else ""
        )
        self._stop(
            say(
                "{problems} in {images}{shown}",
                problems=counted(self._problems, "{count} problem", "{count} problems"),
                images=_images(self._checked),
                shown=shown,
            )
        )

    def _stop(self, message: str) -> None:
        self._timer.deactivate()
        self._bar.set_visibility(False)
        self._status.text = message

    def _draw_problem(self, dataset: DatasetKey, ref: str, reason: str) -> None:
        name = ref.rsplit("/", 1)[-1]
        gallery = urlencode({"set": str(dataset.type), "q": name}, quote_via=quote)
        with self._list, ui.element("li").classes("panel"):
            image = ui.element("img").props('alt="" loading=lazy width=96')
            image.props["src"] = thumbnail_url(ref)
            link(name, project_path(dataset.project, f"/images?{gallery}"), classes="name")
            text(reason, tag="p")


def _images(count: int) -> str:
    return counted(count, "{count} image", "{count} images")
