"""What is wrong with labelled images: all of it is collected before it is raised."""

from __future__ import annotations

from dataclasses import dataclass, field

from blemish.engine.errors import TrainingError
from blemish.engine.images.decode import ImageError
from blemish.engine.training.labeled_images import LabeledImage


@dataclass(frozen=True)
class Problems:
    """The images that cannot be used."""

    #: place of the image among those that were given -> what is wrong
    found: dict[int, str] = field(default_factory=dict)

    def add(self, place: int, image: LabeledImage, error: ImageError) -> None:
        """Remember that an image cannot be used; its first problem counts."""
        self.found.setdefault(place, f"{image.name}: {error}")

    def raise_if_any(self) -> None:
        """Raise the one error that stands for all.

        Raises:
            TrainingError: names the first problem and how many more images have one.
        """
        if not self.found:
            return
        match len(self.found) - 1:
            case 0:
                more = ""
            case 1:
                more = " One more image cannot be used."
            case count:
                more = f" {count:,} more images cannot be used."
        raise TrainingError(self.found[min(self.found)] + more)
