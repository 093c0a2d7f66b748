"""Rates of few images, with the interval that they leave open: "5 of 6", not 0.833."""

from __future__ import annotations

import math
from dataclasses import dataclass

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text, percent_text

Z = 1.959964
"""The normal quantile of an interval that holds the true rate in 95 of 100 cases."""

NOT_MEASURABLE = later("not measurable")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of some images have a property."""

    count: int
    total: int

    @property
    def text(self) -> str:
        """The counts, as people read them."""
        return (
            say(
                "{number} of {total}", number=number_text(self.count), total=number_text(self.total)
            )
            if self.total
            else say(NOT_MEASURABLE)
        )

    @property
    def interval_text(self) -> str:
        """The rate and its interval, as people read them; empty if it is not measurable."""
        if not self.total:
            return ""
        low, high = wilson_interval(self.count, self.total)
        return say(
            "{value}, likely {low} to {high}",
            value=percent_text(self.count / self.total),
            low=percent_text(low),
            high=percent_text(high),
        )


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the interval of a rate, 0 to 1, from how often it was seen.

    Args:
        count: images that have the property.
        total: all images, at least 1.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    share = count / total
    center = share + Z * Z / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def f1_text(f1: float | None) -> str:
    """Return F1 as people read it: no more digits than a test set of hundreds can tell apart."""
    return say(NOT_MEASURABLE) if f1 is None else number_text(f1, digits=2)
