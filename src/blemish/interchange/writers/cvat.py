"""CVAT XML for images: `annotations.xml` with a mask for each area."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.formats.cvat import UNLABELLED
from blemish.interchange.outlines import Blob, blobs
from blemish.interchange.run_lengths import encode_runs


class CvatWriter:
    """Writes one file."""

    def __init__(self) -> None:
        self._images = SpooledList(b"\n")
        self._ids = 0
        self._labels: dict[str, None] = {}

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        del archive  # the file comes last
        width, height = image.size
        name = f"{image.kind}/{image.name}"  # below `images`, as CVAT has it
        rows = [
            f'<image id="{self._ids}" name={quoteattr(name)} subset="{image.kind}" '
            f'width="{width}" height="{height}">'
        ]
        if not image.masks:
            label = str(image.label or UNLABELLED)
            self._labels[label] = None
            rows.append(f'  <tag label="{label}" source="manual"></tag>')
        for name, mask in image.upright_masks.items():
            self._labels[name] = None
            rows += [_mask(name, blob) for blob in blobs(mask)]
        self._images.add("\n".join([*rows, "</image>"]))
        self._ids += 1

    def finish(self, archive: DatasetArchive) -> None:
        labels = "".join(
            f"<label><name>{escape(name)}</name><attributes></attributes></label>"
            for name in self._labels
        )
        head = (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
            f"<meta><task><size>{self._ids}</size><mode>annotation</mode>"
            f"<labels>{labels}</labels></task></meta>\n"
        ).encode()
        archive.write_parts("annotations.xml", [head, *self._images.parts(), b"\n</annotations>\n"])


def _mask(name: str, blob: Blob) -> str:
    left, top, right, bottom = blob.box
    counts = ", ".join(map(str, encode_runs(blob.pixels)))
    return (
        f'  <mask label={quoteattr(name)} source="manual" occluded="0" rle="{counts}" '
        f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}" z_order="0">'
        "</mask>"
    )
