"""The orders of the results of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blemish.console.images.gallery_query import natural_key
from blemish.console.images.named_trials import anomaly_probability
from blemish.console.language.messages import later
from blemish.domain.detection_jobs import TrialImage

ORDERS: Mapping[str, str] = {
    "given": later("As they were added"),
    "anomalous": later("Most anomalous first"),
    "unsure": later("Least sure first"),
    "name": later("By name"),
}
"""The orders of results -> what people read."""


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


def image_name(result: TrialImage) -> str:
    """Return what people call the image of a result: the end of its key."""
    return result.source_ref.rsplit("/", 1)[-1]
