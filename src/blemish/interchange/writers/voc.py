"""Pascal VOC XML: a box around each area; `Annotations` and `ImageSets/Main`."""

from __future__ import annotations

from collections import defaultdict
from xml.sax.saxutils import escape

from blemish.domain.palette import PALETTE
from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.formats.voc import LABEL
from blemish.interchange.outlines import blobs


class VocWriter:
    """Writes a file for each image."""

    def __init__(self) -> None:
        self._types: dict[str, None] = {}
        self._sets = defaultdict[str, SpooledList](lambda: SpooledList(b"\n"))

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        self._sets[image.kind].add(image.stem)
        width, height = image.size
        rows = [
            "<annotation>",
            f"  <folder>images/{image.kind}</folder>",
            f"  <filename>{escape(image.name)}</filename>",
            f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
            "  <segmented>0</segmented>",
        ]
        if not image.masks:
            rows.append(f"  <{LABEL}>{image.label or 'unlabelled'}</{LABEL}>")
        for name, mask in image.upright_masks.items():
            self._types[name] = None
            for blob in blobs(mask):
                archive.notes.remarks["Areas that Pascal VOC has as the boxes around them"] += 1
                rows.append(_object(name, blob.box))
        rows.append("</annotation>\n")
        archive.write(f"Annotations/{image.stem}.xml", "\n".join(rows).encode(), compressed=True)

    def finish(self, archive: DatasetArchive) -> None:
        rows = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
        for name, color in zip(self._types, PALETTE[1:], strict=False):
            red, green, blue = bytes.fromhex(color[1:])
            rows.append(f"{name}:{red},{green},{blue}::")
        archive.write("labelmap.txt", "".join(f"{row}\n" for row in rows).encode())
        for kind, names in self._sets.items():
            archive.write_parts(f"ImageSets/Main/{kind}.txt", [*names.parts(), b"\n"])


def _object(name: str, box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    return (
        f"  <object><name>{escape(name)}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
    )
