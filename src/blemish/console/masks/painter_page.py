"""The painter: what is wrong on an image, painted pixel by pixel.

Painting happens in the browser, in a component of ours; here is which image comes next, and
which anomaly types there are. Pixels travel beside the page, see `painted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_entries import all_entries, find_entry
from blemish.console.images.entry import DatasetKey
from blemish.console.images.gallery_query import query_of
from blemish.console.images.gallery_requests import new_view
from blemish.console.images.image_requests import image_url
from blemish.console.masks.anomaly_types import (
    ProjectAnomalyType,
    add_type,
    drop_type,
    project_types,
    rename_type,
)
from blemish.console.masks.mask_files import MAX_INDEX
from blemish.console.masks.painter_requests import painted_url
from blemish.console.paths import ROOT, project_path
from blemish.console.ui.frame import empty, frame, link, page, text, visitor
from blemish.console.visitor import in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError

SETS = {"train": "training set", "test": "test set"}

FILTERS = ("filter", "type", "q", "sort")
"""Parameters of the gallery that say which images come next, in which order."""


class Painter(Element, component="../static/painter.js"):
    """The canvas, its tools, and the list of anomaly types."""

    def __init__(self, *, may_change: bool, back: str) -> None:
        super().__init__()
        self._props["may-change"] = may_change
        self._props["back"] = back
        self._props["types"] = []
        self._props["image"] = {}

    def show(self, image: dict[str, Any]) -> None:
        """Show another image."""
        self._props["image"] = image
        self.update()

    def offer(self, types: list[dict[str, Any]]) -> None:
        """Offer these anomaly types."""
        self._props["types"] = types
        self.update()


@page("/projects/{project}/paint", title="Paint")
async def paint(project: str) -> None:
    """Show the painter on one image of a data set, the first one unless another is asked for."""
    parameters = ui.context.client.request.query_params
    kind = parameters.get("set", "train")
    if kind not in SETS:
        raise ValidationError("set must be train or test.")
    query = {name: parameters[name] for name in FILTERS if parameters.get(name)}
    ref = parameters.get("ref")
    desk = _Desk(project, kind, query)
    await desk.open(ref)
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/painter.css">')
    with frame("Paint", project=project, section="images"):
        if not desk.refs:
            _nothing(project, kind)
            return
        desk.draw(may_change=await visitor().may("UpdateDatasetEntries", **desk.names))
        await desk.show()


def _nothing(project: str, kind: str) -> None:
    with empty("No images to paint on", f"The {SETS[kind]} has none that this shows."):
        link("Add images", project_path(project, "/add"))
        link("All images", project_path(project, f"/images?set={kind}"))
        text("")


class _Desk:
    """One open painter: where it is among the images, and the numbers of the types in it."""

    def __init__(self, project: str, kind: str, query: dict[str, str]) -> None:
        self.names = {"ProjectName": project, "DatasetType": kind, "Changes": b"{}"}
        #: in their order when the page was opened, whatever is changed meanwhile
        self.refs: Sequence[str] = ()
        self._project = project
        self._kind = kind
        self._dataset = DatasetKey(project=project, type=DatasetType(kind))
        self._query = query
        self._row = 0
        self._numbers: dict[str, int] = {}

    async def open(self, ref: str | None) -> None:
        """Find the images to go through, and begin with one of them."""
        entries = await all_entries(visitor(), self._dataset)
        view = await new_view(visitor(), self._dataset, entries, query_of(self._query))
        self.refs = view.refs
        if ref is None:
            return
        if ref not in self.refs:  # such as one that was unlabelled until it was painted on
            await find_entry(visitor(), self._dataset, ref)
            self.refs = [ref, *self.refs]
        self._row = self.refs.index(ref)

    def draw(self, *, may_change: bool) -> None:
        """Draw the painter."""
        back = project_path(self._project, f"/images?{self._parameters()}")
        self._painter = Painter(may_change=may_change, back=f"{ROOT}{back}")
        self._painter.on("go", self._go)
        self._painter.on("saved", self._offer)
        self._painter.on("added", self._typed(self._add))
        self._painter.on("renamed", self._typed(self._rename))
        self._painter.on("dropped", self._typed(self._drop))

    async def show(self) -> None:
        """Show the image that the painter is at."""
        await self._offer()
        ref = self.refs[self._row]
        entry = await find_entry(visitor(), self._dataset, ref)
        self._painter.show(
            {
                "ref": ref,
                "name": entry.name,
                "label": entry.label,
                "place": f"{self._row + 1:,} of {len(self.refs):,}, {SETS[self._kind]}",
                "first": self._row == 0,
                "last": self._row == len(self.refs) - 1,
                "url": image_url(ref),
                "mask": painted_url(self._project, self._kind, ref),
            }
        )

    async def _go(self, event: GenericEventArguments) -> None:
        step = 1 if event.args == 1 else -1
        self._row = min(len(self.refs) - 1, max(0, self._row + step))
        await self.show()
        address = project_path(
            self._project, f"/paint?{self._parameters(ref=self.refs[self._row])}"
        )
        ui.navigate.history.replace(f"{ROOT}{address}")

    def _parameters(self, **more: str) -> str:
        return urlencode({"set": self._kind, **self._query, **more})

    async def _offer(self) -> None:
        types = await project_types(visitor(), self._project)
        self._painter.offer([self._offered(anomaly_type) for anomaly_type in types])

    def _offered(self, anomaly_type: ProjectAnomalyType) -> dict[str, Any]:
        if anomaly_type.name not in self._numbers and len(self._numbers) >= MAX_INDEX:
            raise ValidationError("Reload the page: it has seen too many anomaly types.")
        number = self._numbers.setdefault(anomaly_type.name, len(self._numbers) + 1)
        return {
            "index": number,
            "name": anomaly_type.name,
            "color": anomaly_type.color,
            "used": anomaly_type.used,
        }

    def _typed(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler that changes the types by names that a person typed."""

        async def handle(event: GenericEventArguments) -> None:
            names = event.args if isinstance(event.args, list) else [event.args]
            await in_thread(partial(visitor().check, "UpdateDatasetEntries", **self.names))
            await change(*(str(name) for name in names))
            await self._offer()

        return handle

    async def _add(self, name: str) -> None:
        stored = await add_type(visitor(), self._project, name)
        await self._offer()
        self._painter.run_method("choose", self._numbers[stored])

    async def _rename(self, old: str, new: str) -> None:
        stored = await rename_type(visitor(), self._project, old, new)
        self._numbers[stored] = self._numbers.pop(old, len(self._numbers) + 1)

    async def _drop(self, name: str) -> None:
        await drop_type(visitor(), self._project, name)
