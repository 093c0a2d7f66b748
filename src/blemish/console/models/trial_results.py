"""The results of a trial: read through the API's gate, and put in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blemish.console.images.gallery_query import natural_key
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.detection_jobs import TrialImage

LIST = "ListTrialImages"

AT_ONCE = 2_000
"""Results that are read at once."""

ORDERS: Mapping[str, str] = {
    "given": "As they were added",
    "anomalous": "Most anomalous first",
    "unsure": "Least sure first",
    "name": "By name",
}
"""The orders of results -> what people read."""


async def trial_results(visitor: Visitor, project: str, trial: str) -> Sequence[TrialImage]:
    """Return the results of a trial in the order of its list.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not let the visitor list them.
        ResourceNotFoundError: there is no such trial.
    """

    def read() -> Sequence[TrialImage]:
        visitor.check(LIST, ProjectName=project, TrialName=trial)
        results: list[TrialImage] = []
        token: str | None = None
        while True:
            page, token = visitor.services.trials.images(
                project, trial, verified=None, token=token, limit=AT_ONCE
            )
            results += page
            if token is None:
                return results

    return await in_thread(read)


def arranged_results(results: Sequence[TrialImage], order: str) -> list[TrialImage]:
    """Return results in one of the `ORDERS`; those without a verdict come last."""
    arranged = list(results)
    if order == "name":
        arranged.sort(key=lambda result: natural_key(image_name(result)))
    elif order == "anomalous":
        arranged.sort(key=anomaly_probability, reverse=True)
    elif order == "unsure":
        arranged.sort(key=lambda result: result.confidence or 0.0)
    arranged.sort(key=lambda result: result.is_anomalous is None)
    return arranged


def anomaly_probability(result: TrialImage) -> float:
    """Return how anomalous the model found an image, 0 to 1; -1 without a verdict."""
    if result.is_anomalous is None or result.confidence is None:
        return -1.0
    return result.confidence if result.is_anomalous else 1 - result.confidence


def image_name(result: TrialImage) -> str:
    """Return what people call the image of a result: the end of its key."""
    return result.source_ref.rsplit("/", 1)[-1]
