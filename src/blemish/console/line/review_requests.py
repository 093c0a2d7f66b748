"""What the page of reviews asks the server for: plain HTTP, so that it goes on after a restart.

GET /console/lines/waiting                     -> how many images wait, on all lines
GET /console/line/NAME/reviews?again=          -> the next image, counts, agreement of reviewers
POST /console/line/NAME/reviews                <- {id, answer}; an answer of null takes one back
POST /console/line/NAME/reviews/add            <- {dataset}: the verified images become entries
POST /console/line/NAME/reviews/paint          <- {id}: not OK, an entry, and where to paint it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import app as framework
from starlette.requests import Request

from blemish.console.http import json_body, request_visitor
from blemish.console.language.messages import say
from blemish.console.line.line_access import REVIEW, visible_line, visible_lines
from blemish.console.line.reviewed_images import add_reviewed, painter_address
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ResourceNotFoundError, ResourceType, ValidationError
from blemish.line.line import Line
from blemish.line.reviews import ReviewAnswer, VerifiedImage


@framework.get("/lines/waiting")
async def count_waiting(request: Request) -> Mapping[str, int]:
    """Answer with how many uncertain images wait for somebody."""
    visitor = request_visitor(request)
    if not visitor.services.lines.names():
        return {"waiting": 0}
    lines = await visible_lines(visitor)
    counts = [await in_thread(line.reviews.counts) for line in lines]
    return {"waiting": sum(count.waiting for count in counts)}


@framework.get("/line/{name}/reviews")
async def next_review(request: Request, name: str) -> Mapping[str, Any]:
    """Answer with the next image of the visitor, and how far the reviews are."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name)
    again = request.query_params.get("again") == "true"
    reviewer = (await visitor.principal()).name
    return await in_thread(_state, line, reviewer, again)


@framework.post("/line/{name}/reviews")
async def answer_review(request: Request, name: str) -> Mapping[str, Any]:
    """Record the visitor's answer, or take it back."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name, action=REVIEW)
    reviewer = (await visitor.principal()).name
    match await json_body(request):
        case {"id": str(verdict_id), "answer": None}:
            await in_thread(line.reviews.withdraw, verdict_id, reviewer)
        case {"id": str(verdict_id), "answer": str(words)} if words in set(ReviewAnswer):
            await _answer(visitor, line, verdict_id, ReviewAnswer(words))
        case _:
            allowed = ", ".join(ReviewAnswer)
            raise ValidationError(f"A review has an id, and an answer of {allowed} or null.")
    return {}


@framework.post("/line/{name}/reviews/add")
async def add_reviews(request: Request, name: str) -> Mapping[str, Any]:
    """Make the verified images entries of a dataset."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name, action=REVIEW)
    match await json_body(request):
        case {"dataset": str(words)} if words in set(DatasetType):
            kind = DatasetType(words)
        case _:
            raise ValidationError(f"The dataset must be {' or '.join(DatasetType)}.")
    images = await in_thread(line.reviews.verified)
    refs = await add_reviewed(visitor, line, images, kind)
    return {"added": len(refs)}


@framework.post("/line/{name}/reviews/paint")
async def paint_review(request: Request, name: str) -> Mapping[str, Any]:
    """Call an image not OK, make it an entry of the training set, and say where to paint it."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name, action=REVIEW)
    match await json_body(request):
        case {"id": str(verdict_id)}:
            pass
        case _:
            raise ValidationError("The request names an image by its id.")
    await _answer(visitor, line, verdict_id, ReviewAnswer.NOT_OK)
    image = VerifiedImage(id=verdict_id, is_anomalous=True)
    refs = await add_reviewed(visitor, line, [image], DatasetType.TRAIN)
    return {"url": painter_address(line.project, refs[verdict_id])}


async def _answer(visitor: Visitor, line: Line, verdict_id: str, answer: ReviewAnswer) -> None:
    reviewer, now = (await visitor.principal()).name, visitor.services.clock()

    def record() -> bool:
        with visitor.download("ReviewLine", Line=line.name, Image=verdict_id, Answer=answer):
            return line.reviews.answer(verdict_id, reviewer, answer, at=now)

    if not await in_thread(record):
        raise ResourceNotFoundError(
            say("The line has no such image any more."),
            resource_type=ResourceType.LINE,
            resource_id=line.name,
        )


def _state(line: Line, reviewer: str, again: bool) -> Mapping[str, Any]:
    verdict_id = line.reviews.next_id(reviewer, again=again)
    entry = line.history.entry(verdict_id) if verdict_id else None
    counts = line.reviews.counts()
    verdict = entry and entry.verdict
    return {
        "waiting": counts.waiting,
        "verified": counts.verified,
        "disputed": counts.disputed,
        "image": verdict
        and {
            "id": verdict.id,
            "name": verdict.image_name,
            "time": verdict.time.isoformat(),
            "score": verdict.score,
            "threshold": verdict.threshold,
            "anomalous": verdict.is_anomalous,
        },
        "agreements": [
            {
                "reviewers": pair.reviewers,
                "images": pair.images,
                "same": pair.same,
                "kappa": pair.kappa,
                "reason": pair.reason,
            }
            for pair in line.reviews.agreements()
        ],
    }
