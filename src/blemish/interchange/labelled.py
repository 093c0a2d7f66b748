"""A labelled image in a form that all formats share, and what a reader notes on its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blemish.domain.entities import Label, MaskOrientation
from blemish.interchange.regions import Shape

SHOWN_PROBLEMS = 20
"""Problems in a message; the others are counted."""

MAX_PROBLEMS = 100_000
"""Problems that are noted: a damaged file of millions of lines must not fill the memory."""


class InterchangeError(Exception):
    """Data of another tool that cannot be used; the message names files and values."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """An area of an image that shows one type of anomaly."""

    anomaly_type: str
    shape: Shape


@dataclass(frozen=True, kw_only=True)
class ColorMask:
    """A mask of a manifest: a PNG whose colours name anomaly types."""

    path: str
    #: "#RRGGBB" -> anomaly type, or `background`
    colors: Mapping[str, str]
    #: whether it lies on the stored or the upright image, if the manifest says it
    orientation: MaskOrientation | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """An image of a folder with what its annotations say."""

    #: path of the image in the folder
    path: str
    #: name of the set that the folder or the file says: `train`, `val`, `test`
    set_name: str | None = None
    #: None for an image that nobody has labelled
    label: Label | None
    #: painted in this order
    regions: Sequence[Region] = ()
    #: (width, height) that the annotations are for, if they say it
    size: tuple[int, int] | None = None
    #: instead of regions
    color_mask: ColorMask | None = None
    #: the file that says all this, for messages
    source: str = ""


@dataclass(kw_only=True)
class ReadingNotes:
    """What a reader could not use, and what it did that nobody asked for."""

    #: sentences that name file and value
    problems: list[str] = field(default_factory=list)
    #: data that are not used, by what they are in the singular: "shape of type point"
    unused: Counter[str] = field(default_factory=Counter)
    #: decisions, with the number of images or shapes that they concern
    remarks: Counter[str] = field(default_factory=Counter)

    def problem(self, source: str, text: str) -> None:
        """Note a sentence about a file."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{source}: {text}")

    def check(self) -> None:
        """Refuse the data if there is any problem.

        Raises:
            InterchangeError: names the first problems and counts the others.
        """
        if self.problems:
            shown = self.problems[:SHOWN_PROBLEMS]
            more = len(self.problems) - len(shown)
            rest = [f"... and {more:,} more problems"] if more else []
            raise InterchangeError("\n".join([*shown, *rest]))

    def sentences(self) -> list[str]:
        """Return the remarks and what is not used, with counts."""
        remarks = [f"{text}: {count:,}" for text, count in sorted((+self.remarks).items())]
        unused = [f"Not used: {text}: {count:,}" for text, count in sorted((+self.unused).items())]
        return [*remarks, *unused]
