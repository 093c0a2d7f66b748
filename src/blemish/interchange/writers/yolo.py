"""YOLO polygons: `data.yaml`, `labels`, and lists of the images that count."""

from __future__ import annotations

from collections import defaultdict

import yaml

from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.formats.yolo import label_file
from blemish.interchange.outlines import blob_outline, blobs


class YoloWriter:
    """Writes a text file for each image."""

    def __init__(self) -> None:
        self._classes: dict[str, int] = {}
        self._sets = defaultdict[str, SpooledList](lambda: SpooledList(b"\n"))

    def image_path(self, image: ExportImage) -> str | None:
        return image.path if image.is_shown_by_areas else None

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        self._sets[image.kind].add(f"./{image.path}")
        rows = []
        for name, mask in image.upright_masks.items():
            index = self._classes.setdefault(name, len(self._classes))
            for blob in blobs(mask):
                points, _ = blob_outline(blob)
                shares = (points / image.size).reshape(-1)
                rows.append(" ".join([str(index), *(f"{share:.7f}" for share in shares)]))
        text = "".join(f"{row}\n" for row in rows)
        archive.write(label_file(image.path), text.encode(), compressed=True)

    def finish(self, archive: DatasetArchive) -> None:
        lists = {str(kind): f"{kind}.txt" for kind in self._sets}
        for kind, paths in self._sets.items():
            archive.write_parts(f"{kind}.txt", [*paths.parts(), b"\n"])
        content: dict[str, object] = {"path": ".", **lists}
        content["val"] = lists.get("test", lists.get("train", ""))
        content["names"] = {index: name for name, index in self._classes.items()}
        archive.write("data.yaml", yaml.safe_dump(content, sort_keys=False).encode())
