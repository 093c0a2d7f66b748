"""Which detector a training chose, and how the others did, as a bundle's history tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blemish.engine.bundle import BundleInfo


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A candidate that the training tried on images it had held out."""

    name: str
    image_auroc: float
    standard_error: float
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a detector is made of, and what it was chosen among."""

    name: str
    #: scorer -> its share of the image score
    shares: Mapping[str, float]
    #: none where there was nothing to choose by
    candidates: tuple[Judged, ...]


def choice_of(info: BundleInfo) -> Choice | None:
    """Return what was chosen; None in a bundle of an older version, which does not say."""
    selection = info.history.get("selection")
    if not selection:
        return None
    name = str(selection["chosen"])
    return Choice(
        name=name,
        shares=dict(selection["scores"]),
        candidates=tuple(
            Judged(
                name=each["name"],
                image_auroc=each["image_auroc"],
                standard_error=each["standard_error"],
                chosen=each["name"] == name,
            )
            for each in selection["candidates"]
        ),
    )
