"""What the gallery asks the server for: pieces of what it shows, and changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import JSONResponse

from blemish.console.images import dataset_entries as entries_of
from blemish.console.images.dataset_entries import Entry, all_entries
from blemish.console.images.gallery_memory import Place, Undo, View, undos, views
from blemish.console.images.gallery_query import (
    Query,
    Sort,
    Step,
    counts,
    of_ranges,
    query_of,
    relabelled,
    scores_of,
    selected,
    stats_of,
    step_of,
    told,
)
from blemish.console.images.image_requests import thumbnail_url
from blemish.console.ui.frame import TELLING, problem_text
from blemish.console.visitor import SignedOutError, Visitor, in_thread
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import (
    AccessDeniedError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)
from blemish.service.training.trainable import image_needs
from blemish.storage.errors import StorageError

MOST_ENTRIES = 500
"""In one piece of what is shown."""

PATH = "/gallery/{project}/{kind}"

SHOWN_ORDER = "The server no longer knows the order of these images."

Answer = Mapping[str, Any]


@framework.get(PATH)
async def window(request: Request, project: str, kind: str) -> JSONResponse:
    """Send a piece of a view; of a new one if the view is not named, or forgotten."""
    return await _answered(request, Place(project=project, kind=kind), _window)


@framework.post(f"{PATH}/changes")
async def change(request: Request, project: str, kind: str) -> JSONResponse:
    """Label images of a view, or undo that, in the order of the changes sent."""
    return await _answered(request, Place(project=project, kind=kind), _change)


@framework.post(f"{PATH}/removal")
async def remove(request: Request, project: str, kind: str) -> JSONResponse:
    """Take images of a view out of the data set."""
    return await _answered(request, Place(project=project, kind=kind), _remove)


async def _answered(
    request: Request,
    place: Place,
    answer: Callable[[Visitor, Place, Request], Awaitable[Answer]],
) -> JSONResponse:
    try:
        return JSONResponse(await answer(request.state.visitor, place, request))
    except TELLING as error:
        refused = {SignedOutError: 401, AccessDeniedError: 403}.get(type(error), 400)
        return JSONResponse({"problem": problem_text(error)}, status_code=refused)


async def _window(visitor: Visitor, place: Place, request: Request) -> Answer:
    parameters = request.query_params
    found = await all_entries(visitor, place.project, place.kind)
    name = parameters.get("view", "")
    view = views.find(name)
    answer: dict[str, Any] = {}
    if view is None or view.place != place:
        view = await new_view(visitor, place, found, query_of(parameters))
        name = views.keep(view)
        answer = await _standing(visitor, place, found)
    offset = _number(parameters.get("offset", "0"))
    limit = min(_number(parameters.get("limit", "200")), MOST_ENTRIES)
    shown = view.refs[offset : offset + limit]
    pieces = await in_thread(_pieces, found, shown, view.scores)
    return answer | {"view": name, "total": len(view.refs), "entries": pieces}


async def new_view(visitor: Visitor, place: Place, found: Sequence[Entry], query: Query) -> View:
    """Choose and order the entries that a query wants."""
    scores = await _scores(visitor, place.project) if query.sort is Sort.SCORE else {}
    chosen = await in_thread(selected, found, query, scores)
    return View(place=place, refs=[entry.ref for entry in chosen], scores=scores)


def _pieces(
    found: Sequence[Entry], shown: Sequence[str], scores: Mapping[str, float]
) -> list[dict[str, Any] | None]:
    """Return what is drawn of each image; None for those that are gone."""
    wanted = set(shown)
    entries = {entry.ref: entry for entry in found if entry.ref in wanted}
    return [
        {
            "ref": ref,
            "name": entries[ref].name,
            "label": entries[ref].label,
            "types": sorted(entries[ref].types),
            "score": scores.get(ref),
            "thumbnail": thumbnail_url(ref),
        }
        if ref in entries
        else None
        for ref in shown
    ]


async def _change(visitor: Visitor, place: Place, request: Request) -> Answer:
    body = await _body(request)
    before = {entry.ref: entry for entry in await all_entries(visitor, place.project, place.kind)}
    now = dict(before)
    steps = [step_of(step) for step in body.get("changes", ())]
    names = [await in_thread(_take, visitor, place, step, now) for step in steps]
    lines = [entry.line for ref, entry in now.items() if before.get(ref) is not entry]
    await entries_of.change(visitor, place.project, place.kind, lines)
    after = await all_entries(visitor, place.project, place.kind)
    return {"undos": names} | await _standing(visitor, place, after)


def _take(visitor: Visitor, place: Place, step: Step, now: dict[str, Entry]) -> str | None:
    """Make one change to the entries of now; return the name to undo it by, if it can be."""
    if step.undo is not None:
        undo = undos.find(step.undo)
        if undo is None or undo.place != place:
            raise place.forgotten("That can no longer be undone.")
        now.update((e.ref, e) for e in undo.entries if undo.removed or e.ref in now)
        return None
    refs = _refs(place, step)
    changed = [now[ref] for ref in refs if ref in now]
    if refs and not changed:  # to say that nothing is saved would be a lie
        raise ValidationError("These images are no longer in the data set. Reload the page.")
    at = visitor.services.clock()
    now.update((entry.ref, relabelled(entry, step.label, now=at)) for entry in changed)
    return undos.keep(Undo(place=place, entries=changed, removed=False))


async def _remove(visitor: Visitor, place: Place, request: Request) -> Answer:
    refs = set(_refs(place, step_of(await _body(request))))
    before = await all_entries(visitor, place.project, place.kind)
    gone = [entry for entry in before if entry.ref in refs]
    await entries_of.remove(visitor, place.project, place.kind, [entry.ref for entry in gone])
    return {"undos": [undos.keep(Undo(place=place, entries=gone, removed=True))]}


def _refs(place: Place, step: Step) -> list[str]:
    view = views.find(step.view)
    if view is None or view.place != place:
        raise place.forgotten(SHOWN_ORDER)
    return of_ranges(view.refs, step.ranges)


async def _standing(visitor: Visitor, place: Place, found: Sequence[Entry]) -> dict[str, Any]:
    """Say how many entries there are of each kind, and what is missing before a training."""
    train = await described(visitor, place.project, "train")
    test = await described(visitor, place.project, "test")
    if train is None:
        missing = ["a training set"]
    else:
        sets = [stats_of(each["ImageStats"]) for each in (train, test) if each]
        missing = told(image_needs(sets, visitor.services.limits))
    return {"counts": await in_thread(counts, found), "missing": missing}


async def described(visitor: Visitor, project: str, kind: str) -> Mapping[str, Any] | None:
    """Return what DescribeDataset tells of a data set; None if there is none."""
    try:
        answer = await visitor.call("DescribeDataset", ProjectName=project, DatasetType=kind)
    except ResourceNotFoundError:
        return None
    found: Mapping[str, Any] = answer["DatasetDescription"]
    return found


async def _scores(visitor: Visitor, project: str) -> Mapping[str, float]:
    """Return what the newest trained model made of its test images; nothing if nobody knows."""
    try:
        models = (await visitor.call("ListModels", ProjectName=project, MaxResults=100))["Models"]
        for model in sorted(models, key=lambda model: -int(model["ModelVersion"])):
            answer = await visitor.call(
                "DescribeModel", ProjectName=project, ModelVersion=model["ModelVersion"]
            )
            manifest = answer["ModelDescription"].get("EvaluationManifest")
            if manifest:
                ref = ObjectRef(bucket=manifest["Bucket"], key=manifest["Key"])
                return await in_thread(scores_of, await visitor.read_object(ref))
    except (ServiceError, StorageError, ValueError, KeyError):
        return {}  # nothing is sorted by what cannot be read
    return {}


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ValidationError(f"The request is not JSON: {error}.") from None
    return body if isinstance(body, dict) else {}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValidationError(f"{text!r:.40} is no number.")
    return int(text)
