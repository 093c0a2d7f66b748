"""The images that the records store, with heat map and mask, in one folder of the station."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from blemish.edge.durable_files import sync_names, write_whole_file
from blemish.engine.heat_maps import encode_heat_map
from blemish.engine.images.masks import encode_mask
from blemish.engine.runtime import Detection
from blemish.station.images import CapturedImage

IMAGES = "images"


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """The files of one image, by their names in the folder."""

    image_file: str
    heat_map_file: str
    mask_file: str | None
    size_bytes: int

    def names(self) -> list[str]:
        """Return the names of all files."""
        return [name for name in (self.image_file, self.heat_map_file, self.mask_file) if name]


class StoredImages:
    """The folder; a file in it is complete, or begins with a dot."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / IMAGES

    def store(self, image: CapturedImage, detection: Detection) -> StoredImage:
        """Store an image durably; one with the same id is replaced.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        data, suffix = image.encoded()
        heat_map = encode_heat_map(
            detection.anomaly_map,
            threshold=max(detection.threshold, 0),
            size=detection.stored_size,
        )
        files = {f"{image.id}{suffix}": data, f"{image.id}.heat.png": heat_map}
        mask_file = None
        if detection.mask is not None:
            mask_file = f"{image.id}.mask.png"
            files[mask_file] = encode_mask(detection.mask, colors=detection.colors)
        for name, content in files.items():
            write_whole_file(self._folder / name, content)
        sync_names(self._folder)
        return StoredImage(
            image_file=f"{image.id}{suffix}",
            heat_map_file=f"{image.id}.heat.png",
            mask_file=mask_file,
            size_bytes=sum(map(len, files.values())),
        )

    def path(self, name: str | None) -> Path | None:
        """Return the path of a stored file."""
        return None if name is None else self._folder / name

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def remove_others(self, names: Collection[str]) -> None:
        """Remove what a kill left: the files that no record names."""
        if self._folder.is_dir():
            names_there = [path.name for path in self._folder.iterdir()]
            self.remove([name for name in names_there if name not in names])
