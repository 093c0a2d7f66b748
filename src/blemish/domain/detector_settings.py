"""What a person sets for the detectors of a project, and may set anew for one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from blemish.domain.errors import ValidationError
from blemish.domain.regions import RegionMask

AUTOMATIC = "auto"
"""A resolution that a training selects by the images."""

MIN_RESOLUTION, MAX_RESOLUTION = 64, 4_096


class Sensitivity(StrEnum):
    """How many false alarms a person accepts for more anomalies."""

    STRICT = "strict"
    BALANCED = "balanced"
    TOLERANT = "tolerant"

    @property
    def false_alarm_rate(self) -> float:
        """The share of normal images that may be called anomalous."""
        return _FALSE_ALARM_RATES[self]


_FALSE_ALARM_RATES = {
    Sensitivity.STRICT: 0.01,
    Sensitivity.BALANCED: 0.05,
    Sensitivity.TOLERANT: 0.10,
}


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """The settings of one project, or those that a model was created with."""

    sensitivity: Sensitivity = Sensitivity.BALANCED
    #: long side of the images that the detector sees, in pixels; None: the training selects it
    resolution: int | None = None
    #: None if everything in an image counts
    regions: RegionMask | None = None
    #: whether images of other sizes than most are resized instead of refused; None: as the server's
    mixed_sizes: bool | None = None

    def takes_mixed_sizes(self, *, default: bool) -> bool:
        """Return whether images may have any size; `default` is the setting of the server."""
        return default if self.mixed_sizes is None else self.mixed_sizes

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON stores them."""
        return {
            "sensitivity": self.sensitivity.value,
            "resolution": self.resolution,
            "regions": self.regions and self.regions.document(),
            "mixed_sizes": self.mixed_sizes,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> DetectorSettings:
        """Return the settings that `document` describes; missing ones have their default."""
        regions = document.get("regions")
        return cls(
            sensitivity=Sensitivity(document.get("sensitivity", Sensitivity.BALANCED)),
            resolution=document.get("resolution"),
            regions=RegionMask.of_document(regions) if regions else None,
            mixed_sizes=document.get("mixed_sizes"),
        )


DEFAULT_SETTINGS = DetectorSettings()

DetectorChange = Callable[[DetectorSettings], DetectorSettings]
"""Returns settings with some of them changed."""


def no_change(settings: DetectorSettings) -> DetectorSettings:
    """Return the settings as they are."""
    return settings


def detector_change(
    *,
    sensitivity: str | None = None,
    resolution: str | None = None,
    regions: Sequence[RegionMask] | None = None,
    mixed_sizes: bool | None = None,
) -> DetectorChange:
    """Return a change of the settings that are named; None leaves one as it is.

    Args:
        sensitivity: strict, balanced or tolerant.
        resolution: a number of pixels, or `AUTOMATIC`.
        regions: one mask, or none to let everything count.
        mixed_sizes: whether images may have any size.

    Raises:
        ValidationError: a setting has no such value.
    """
    changes: dict[str, Any] = {}
    if sensitivity is not None:
        changes["sensitivity"] = _sensitivity(sensitivity)
    if resolution is not None:
        changes["resolution"] = _resolution(resolution)
    if regions is not None:
        if len(regions) > 1:
            raise ValidationError("Regions takes either Ignored or OfInterest, and not both.")
        changes["regions"] = regions[0] if regions else None
    if mixed_sizes is not None:
        changes["mixed_sizes"] = mixed_sizes
    return lambda settings: replace(settings, **changes)


def _sensitivity(value: str) -> Sensitivity:
    try:
        return Sensitivity(value)
    except ValueError:
        names = ", ".join(Sensitivity)
        raise ValidationError(f"Sensitivity {value!r} is none of {names}.") from None


def _resolution(value: str) -> int | None:
    if value == AUTOMATIC:
        return None
    if not value.isdecimal() or not MIN_RESOLUTION <= int(value) <= MAX_RESOLUTION:
        raise ValidationError(
            f"Resolution {value!r} is neither '{AUTOMATIC}' nor a number of pixels from "
            f"{MIN_RESOLUTION} to {MAX_RESOLUTION:,}."
        )
    return int(value)
