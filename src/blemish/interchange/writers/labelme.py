"""LabelMe JSON: a file beside each image, with a polygon for each area."""

from __future__ import annotations

import json

from blemish.interchange.archives import DatasetArchive, ExportImage
from blemish.interchange.formats.labelme import json_beside
from blemish.interchange.outlines import blob_outline, blobs

VERSION = "5.5.0"
"""Of labelme, whose files these are like."""


class LabelMeWriter:
    """Writes a file for each image."""

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        width, height = image.size
        shapes = [
            {
                "label": name,
                "points": blob_outline(blob)[0].tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for name, mask in image.upright_masks.items()
            for blob in blobs(mask)
        ]
        content = {
            "version": VERSION,
            "flags": {str(image.label or "unlabelled"): True},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        text = json.dumps(content, ensure_ascii=False)
        archive.write(json_beside(image.path), text.encode(), compressed=True)

    def finish(self, archive: DatasetArchive) -> None:
        del archive  # each image has a file of its own
