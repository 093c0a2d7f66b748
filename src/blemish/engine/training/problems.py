"""Problems of labelled images: all of them are collected before a training fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blemish.engine.errors import TrainingError
from blemish.engine.training.labeled_images import LabeledImage

MAX_IN_MESSAGE = 5
"""Problems in the message of a failed training; the others are in `TrainingError.problems`."""


@dataclass(frozen=True, kw_only=True)
class ImageProblem:
    """An image that cannot be used."""

    #: the image's name
    name: str
    #: a sentence
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Problems:
    """The problems of the images, in the order of the dataset."""

    def __init__(self) -> None:
        self._problems: list[tuple[int, ImageProblem]] = []

    def add(self, position: int, image: LabeledImage, reason: object) -> None:
        """Add a problem of the image at a position of the dataset."""
        self._problems.append((position, ImageProblem(name=image.name, reason=str(reason))))

    def sorted(self) -> tuple[ImageProblem, ...]:
        """Return the problems by the position of their images."""
        ordered = sorted(self._problems, key=lambda entry: entry[0])
        return tuple(problem for _, problem in ordered)

    def raise_if_any(self) -> None:
        """Raise one error with all problems.

        Raises:
            TrainingError: names the first problems and counts the others.
        """
        if self._problems:
            problems = self.sorted()
            raise TrainingError(summary(problems), problems=tuple(map(str, problems)))


def summary(problems: Iterable[ImageProblem]) -> str:
    """Return the first problems, and how many more there are, as one text."""
    sentences = [str(problem) for problem in problems]
    match len(sentences) - MAX_IN_MESSAGE:
        case 1:
            more = ["One more problem was found."]
        case count if count > 1:
            more = [f"{count:,} more problems were found."]
        case _:
            more = []
    return " ".join([*sentences[:MAX_IN_MESSAGE], *more])
