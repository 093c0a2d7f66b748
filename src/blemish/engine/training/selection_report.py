"""The selection of a training, as the history of its bundle records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blemish.engine.bundle import BundleInfo


@dataclass(frozen=True, kw_only=True)
class ReportedCandidate:
    """A candidate and its cross-validated metrics."""

    name: str
    image_auroc: float
    standard_error: float
    is_selected: bool


@dataclass(frozen=True, kw_only=True)
class SelectionReport:
    """The selected candidate, and all that were compared."""

    name: str
    #: score -> its share of the image score
    shares: Mapping[str, float]
    #: empty without a comparison
    candidates: tuple[ReportedCandidate, ...]


def selection_report(info: BundleInfo) -> SelectionReport | None:
    """Return the selection of a bundle; None for an older bundle, which records none."""
    selection = info.history.get("selection")
    if not selection:
        return None
    name = _current(selection["chosen"])
    return SelectionReport(
        name=name,
        shares={_current(score): share for score, share in selection["scores"].items()},
        candidates=tuple(
            ReportedCandidate(
                name=_current(candidate["name"]),
                image_auroc=candidate["image_auroc"],
                standard_error=candidate["standard_error"],
                is_selected=_current(candidate["name"]) == name,
            )
            for candidate in selection["candidates"]
        ),
    )


def _current(name: str) -> str:
    """Return the words of today: older bundles call an image a picture."""
    return name.replace("picture", "image")
