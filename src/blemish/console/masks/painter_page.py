"""The page Paint: where anomalies are, painted pixel by pixel.

Painting happens in the browser, in `static/painter.js`, which talks to `painter_requests.py`.
"""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element

from blemish.console.images.dataset_entries import all_entries, find_entry
from blemish.console.images.entry import DatasetKey
from blemish.console.images.gallery_query import query_of
from blemish.console.images.gallery_requests import new_view
from blemish.console.language.messages import later, say
from blemish.console.masks.painter_requests import painter_url, types_url
from blemish.console.paths import ROOT, project_path
from blemish.console.ui.frame import empty, frame, link, page, visitor
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError

FILTERS = ("filter", "type", "q", "sort")
"""Parameters of the gallery that say which images come next, in which order."""


class Painter(Element, component="../static/painter.js"):
    """The canvas, its tools, and the list of anomaly types."""

    def __init__(
        self, dataset: DatasetKey, *, ref: str, query: dict[str, str], may_change: bool, back: str
    ) -> None:
        super().__init__()
        self._props["source"] = painter_url(dataset)
        self._props["types-url"] = types_url(dataset.project)
        self._props["start"] = ref
        self._props["query"] = query
        self._props["may-change"] = may_change
        self._props["back"] = back


@page("/projects/{project}/paint", title=later("Paint"))
async def paint(project: str) -> None:
    """Show the painter on one image of a data set, the first one unless the query names another."""
    parameters = ui.context.client.request.query_params
    kind = parameters.get("set", "train")
    if kind not in set(DatasetType):
        raise ValidationError(f"set must be train or test, not {kind!r:.20}.")
    dataset = DatasetKey(project=project, type=DatasetType(kind))
    query = {name: parameters[name] for name in FILTERS if parameters.get(name)}
    ref = parameters.get("ref", "")
    if ref:
        await find_entry(visitor(), dataset, ref)
    entries = await all_entries(visitor(), dataset)
    view = await new_view(visitor(), dataset, entries, query_of(query))
    ui.add_head_html(f'<link rel="stylesheet" href="{ROOT}/static/painter.css">')
    with frame(say("Paint"), project=project, section="images"):
        if not ref and not view.refs:
            _nothing(dataset)
            return
        back = project_path(project, f"/images?{urlencode({'set': kind, **query})}")
        Painter(
            dataset,
            ref=ref or view.refs[0],
            query=query,
            may_change=await visitor().may("UpdateDatasetEntries", **dataset.names, Changes=b"{}"),
            back=f"{ROOT}{back}",
        )


def _nothing(dataset: DatasetKey) -> None:
    with empty(
        say("No images to paint on"),
        say("The {title} has none that this shows.", title=dataset.title),
    ):
        link(say("Add images"), project_path(dataset.project, "/add"))
        link(say("All images"), project_path(dataset.project, f"/images?set={dataset.type}"))
