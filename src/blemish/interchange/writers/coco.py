"""COCO JSON: `annotations/instances_train.json`; an area with holes is written as runs."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np

from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.formats.coco import LABEL, UNLABELLED
from blemish.interchange.outlines import Blob, blob_outline, blobs
from blemish.interchange.run_lengths import encode_runs


class CocoWriter:
    """Writes a file for each dataset."""

    def __init__(self) -> None:
        self._images = defaultdict[str, SpooledList](SpooledList)
        self._annotations = defaultdict[str, SpooledList](SpooledList)
        self._categories: dict[str, int] = {}
        self._ids = 0
        self._annotation_ids = 0

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        del archive  # the files come last
        self._ids += 1
        width, height = image.size
        label = str(image.label or UNLABELLED)
        fields = {"id": self._ids, "file_name": image.name, "width": width, "height": height}
        self._images[image.kind].add_json({**fields, LABEL: label})
        for name, mask in image.upright_masks.items():
            category = self._categories.setdefault(name, len(self._categories) + 1)
            for blob in blobs(mask):
                self._annotation_ids += 1
                annotation = {
                    "id": self._annotation_ids,
                    "image_id": self._ids,
                    "category_id": category,
                    **_area(blob, image.size),
                }
                self._annotations[image.kind].add_json(annotation)

    def finish(self, archive: DatasetArchive) -> None:
        categories = [{"id": index, "name": name} for name, index in self._categories.items()]
        for kind, images in self._images.items():
            archive.write_parts(
                f"annotations/instances_{kind}.json",
                [
                    f'{{"categories": {json.dumps(categories, ensure_ascii=False)},\n'.encode(),
                    b'"images": [\n',
                    *images.parts(),
                    b'],\n"annotations": [\n',
                    *self._annotations[kind].parts(),
                    b"]}\n",
                ],
            )


def _area(blob: Blob, size: tuple[int, int]) -> dict[str, Any]:
    points, has_holes = blob_outline(blob)
    left, top, right, bottom = blob.box
    segmentation: Any = [points.reshape(-1).astype(int).tolist()]
    if has_holes:
        mask = np.zeros(size[::-1], dtype=np.bool_)
        mask[top:bottom, left:right] = blob.pixels
        counts = encode_runs(np.ascontiguousarray(mask.T))
        segmentation = {"counts": counts, "size": list(size[::-1])}
    return {
        "segmentation": segmentation,
        "area": int(blob.pixels.sum()),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
    }
