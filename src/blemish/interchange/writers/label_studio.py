"""Label Studio JSON: `label-studio.json` with brushes, and the labelling interface for it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from blemish.domain.palette import PALETTE
from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.formats.label_studio import SET
from blemish.interchange.run_lengths import encode_brush


class LabelStudioWriter:
    """Writes one file of tasks; images are local files of Label Studio."""

    def __init__(self) -> None:
        self._tasks = SpooledList()
        self._types: dict[str, None] = {}

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        del archive  # the files come last
        self._types |= dict.fromkeys(image.upright_masks)
        results = [_choice(image.label)] if image.label else []
        results += [
            _brush(name, encode_brush(mask), image.size)
            for name, mask in image.upright_masks.items()
        ]
        address = f"/data/local-files/?d={quote(image.path)}"
        annotations = [{"result": results}] if results else []
        self._tasks.add_json(
            {"data": {"image": address, SET: str(image.kind)}, "annotations": annotations}
        )

    def finish(self, archive: DatasetArchive) -> None:
        archive.write_parts("label-studio.json", [b"[\n", *self._tasks.parts(), b"]\n"])
        labels = "".join(
            f"<Label value={quoteattr(name)} background={quoteattr(PALETTE[index])}/>"
            for index, name in enumerate(self._types, start=1)
        )
        interface = (
            '<View><Image name="image" value="$image"/>'
            '<Choices name="label" toName="image"><Choice value="normal"/>'
            '<Choice value="anomaly"/></Choices>'
            f'<BrushLabels name="mask" toName="image">{labels}</BrushLabels></View>\n'
        )
        archive.write("label-studio.xml", interface.encode())


def _choice(label: str) -> dict[str, Any]:
    names = {"from_name": "label", "to_name": "image", "type": "choices"}
    return {**names, "value": {"choices": [str(label)]}}


def _brush(name: str, codes: list[int], size: tuple[int, int]) -> dict[str, Any]:
    return {
        "from_name": "mask",
        "to_name": "image",
        "type": "brushlabels",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": {"format": "rle", "rle": codes, "brushlabels": [name]},
    }
