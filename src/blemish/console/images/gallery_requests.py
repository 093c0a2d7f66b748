"""What the gallery asks the server for: parts of what it shows, and changes.

GET /console/gallery/PROJECT/SET            -> a part of a view, and the counts of a new one
POST /console/gallery/PROJECT/SET/changes   <- labels, and undos
GET /console/gallery/PROJECT/SET/ranking    -> how far the model in force has judged the images
POST the same                               <- lets it judge them
POST /console/gallery/PROJECT/SET/removal   <- images to take out of the data set
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import app as framework
from starlette.requests import Request

from blemish.console.http import json_body, request_visitor
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, Entry
from blemish.console.images.gallery_labels import (
    gallery_change_of,
    remove_images,
    save_labels,
)
from blemish.console.images.gallery_memory import View
from blemish.console.images.gallery_query import (
    BY_MODEL,
    GalleryQuery,
    SortOrder,
    filter_counts,
    matching_entries,
    need_texts,
    query_of,
    scores_of,
)
from blemish.console.images.gallery_ranking import (
    ranked_scores,
    ranking_of,
    ranking_state,
    start_ranking,
    teaching_refs,
)
from blemish.console.images.image_requests import thumbnail_url
from blemish.console.language.messages import say
from blemish.console.memory import put_under_new_name
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.domain.errors import ResourceNotFoundError, ServiceError, ValidationError
from blemish.service.training.trainable import image_needs
from blemish.storage.errors import StorageError

MOST_ENTRIES = 500
"""In one part of what is shown."""

PATH = "/gallery/{project}/{kind}"


@framework.get(PATH)
async def gallery_part(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Send a part of a view; of a new one if the view is not named, or forgotten."""
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    parameters = request.query_params
    entries = await all_entries(visitor, dataset)
    name = parameters.get("view", "")
    view = visitor.services.memory.views.find(name)
    answer: dict[str, Any] = {}
    if view is None or view.dataset != dataset:
        view = await new_view(visitor, dataset, entries, query_of(parameters))
        name = put_under_new_name(visitor.services.memory.views, view)
        answer = await _progress(visitor, dataset, entries)
    offset = _number(parameters.get("offset", "0"))
    limit = min(_number(parameters.get("limit", "200")), MOST_ENTRIES)
    refs = view.refs[offset : offset + limit]
    cells = await in_thread(_cells, dataset, entries, refs, view.scores)
    return answer | {"view": name, "total": len(view.refs), "entries": cells}


@framework.post(f"{PATH}/changes")
async def change_gallery(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Label images of a view, or undo that, in the order of the changes sent."""
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    body = _members(await json_body(request))
    changes = [gallery_change_of(members) for members in body.get("changes", ())]
    undos = await save_labels(visitor, dataset, changes)
    entries = await all_entries(visitor, dataset)
    return {"undos": undos} | await _progress(visitor, dataset, entries)


@framework.post(f"{PATH}/removal")
async def remove_from_gallery(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Take images of a view out of the data set."""
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    change = gallery_change_of(_members(await json_body(request)))
    return {"undos": [await remove_images(visitor, dataset, change)]}


@framework.get(f"{PATH}/ranking")
async def gallery_ranking(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Say how far the model in force has judged the images."""
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    ranking = await ranking_of(visitor, project, await all_entries(visitor, dataset))
    names = {"ProjectName": project, "ModelVersion": ranking.trial.version if ranking.trial else ""}
    may = ranking.trial is not None and await visitor.may("StartTrialDetection", **names)
    return await ranking_state(visitor, ranking) | {"may": may}


@framework.post(f"{PATH}/ranking")
async def rank_gallery(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Let the model in force judge the images."""
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    ranking = await ranking_of(visitor, project, await all_entries(visitor, dataset))
    await start_ranking(visitor, ranking)
    return {}


async def new_view(
    visitor: Visitor, dataset: DatasetKey, entries: Sequence[Entry], query: GalleryQuery
) -> View:
    """Return the entries that a query wants, as a view in its order."""
    scores: Mapping[str, float] = {}
    teaching: Sequence[str] = ()
    if query.order in BY_MODEL:
        ranked = await _ranked(visitor, dataset.project, entries)
        # an evaluation is fairer: the model had not seen those images
        scores = {**ranked, **await _scores(visitor, dataset.project)}
        if query.order is SortOrder.TEACHING:
            teaching = await teaching_refs(visitor, entries, ranked)
    matching = await in_thread(matching_entries, entries, query, scores, teaching)
    return View(dataset=dataset, refs=[entry.ref for entry in matching], scores=scores)


async def dataset_description(visitor: Visitor, dataset: DatasetKey) -> Mapping[str, Any] | None:
    """Return what DescribeDataset says of a data set; None if there is none."""
    try:
        answer = await visitor.call("DescribeDataset", **dataset.names)
    except ResourceNotFoundError:
        return None
    description: Mapping[str, Any] = answer["DatasetDescription"]
    return description


def _cells(
    dataset: DatasetKey,
    entries: Sequence[Entry],
    refs: Sequence[str],
    scores: Mapping[str, float],
) -> list[dict[str, Any] | None]:
    """Return what is drawn of each image; None for those that are gone."""
    wanted = set(refs)
    by_ref = {entry.ref: entry for entry in entries if entry.ref in wanted}
    return [_cell(dataset, by_ref[ref], scores.get(ref)) if ref in by_ref else None for ref in refs]


def _cell(dataset: DatasetKey, entry: Entry, score: float | None) -> dict[str, Any]:
    return {
        "ref": entry.ref,
        "name": entry.name,
        "label": entry.label,
        "types": sorted(entry.types),
        "score": score,
        "thumbnail": thumbnail_url(entry.ref),
        "mask": mask_overlay_url(dataset, entry),
    }


def mask_overlay_url(dataset: DatasetKey, entry: Entry, *, whole: bool = False) -> str:
    """Return where a browser finds the mask that lies on an image; empty without a mask.

    Args:
        dataset: that the image is in.
        entry: of the image.
        whole: whether it is as large as the image, not as its thumbnail.
    """
    if entry.mask_ref is None and entry.set_aside is None:
        return ""
    query = {
        "project": dataset.project,
        "kind": dataset.type,
        "ref": entry.ref,
        "version": entry.version,
        **({"whole": "1"} if whole else {}),
    }
    return f"{ROOT}/mask-overlay?{urlencode(query)}"


async def _progress(
    visitor: Visitor, dataset: DatasetKey, entries: Sequence[Entry]
) -> dict[str, Any]:
    """Say how many entries there are of each kind, and what is missing before a training."""
    missing = await in_thread(_missing, visitor, dataset.project)
    return {"counts": await in_thread(filter_counts, entries), "missing": missing}


def _missing(visitor: Visitor, project: str) -> list[str]:
    """Say what is missing before a training; the counts are read, not asked of the API."""
    stats = []
    for kind in (DatasetType.TRAIN, DatasetType.TEST):
        key = DatasetKey(project=project, type=kind)
        visitor.check("DescribeDataset", **key.names)
        try:
            stats.append(visitor.services.datasets.describe(project, kind)[1])
        except ResourceNotFoundError:
            if kind is DatasetType.TRAIN:
                return [say("a training set")]
    return need_texts(image_needs(stats, visitor.services.limits))


async def _ranked(visitor: Visitor, project: str, entries: Sequence[Entry]) -> Mapping[str, float]:
    """Return what the model in force made of the images; nothing before it judged them."""
    try:
        return await ranked_scores(visitor, await ranking_of(visitor, project, entries))
    except (ServiceError, StorageError):
        return {}  # nothing is sorted by what cannot be read


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


def _members(body: Any) -> Mapping[str, Any]:
    return body if isinstance(body, dict) else {}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValidationError(f"{text!r:.40} is not a number.")
    return int(text)
