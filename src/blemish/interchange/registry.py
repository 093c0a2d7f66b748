"""All formats: their names, how a folder is recognised, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from blemish.interchange.files import DatasetFiles
from blemish.interchange.formats.coco import read_coco, recognises_coco
from blemish.interchange.formats.cvat import read_cvat, recognises_cvat
from blemish.interchange.formats.folders import read_folders, recognises_folders
from blemish.interchange.formats.label_studio import read_label_studio, recognises_label_studio
from blemish.interchange.formats.labelme import read_labelme, recognises_labelme
from blemish.interchange.formats.manifests import read_manifests, recognises_manifests
from blemish.interchange.formats.mvtec import read_mvtec, recognises_mvtec
from blemish.interchange.formats.voc import read_voc, recognises_voc
from blemish.interchange.formats.yolo import read_yolo, recognises_yolo
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes


@dataclass(frozen=True, kw_only=True)
class DatasetFormat:
    """One way in which tools store labelled images."""

    #: what people type
    name: str
    #: what people read
    title: str
    recognises: Callable[[DatasetFiles], bool]
    read: Callable[[DatasetFiles, ReadingNotes], Iterable[LabelledImage]]


def _format(
    name: str,
    title: str,
    recognises: Callable[[DatasetFiles], bool],
    read: Callable[[DatasetFiles, ReadingNotes], Iterable[LabelledImage]],
) -> DatasetFormat:
    return DatasetFormat(name=name, title=title, recognises=recognises, read=read)


FORMATS: Sequence[DatasetFormat] = (
    _format("manifest", "manifests of Lookout for Vision", recognises_manifests, read_manifests),
    _format("cvat", "CVAT XML for images", recognises_cvat, read_cvat),
    _format("voc", "Pascal VOC XML", recognises_voc, read_voc),
    _format("label-studio", "Label Studio JSON", recognises_label_studio, read_label_studio),
    _format("coco", "COCO JSON", recognises_coco, read_coco),
    _format("labelme", "LabelMe JSON", recognises_labelme, read_labelme),
    _format("yolo", "YOLO polygons", recognises_yolo, read_yolo),
    _format("mvtec", "MVTec folders", recognises_mvtec, read_mvtec),
    _format("folders", "folders by label", recognises_folders, read_folders),
)
"""In the order in which a folder is compared with them."""


def format_named(name: str) -> DatasetFormat:
    """Return the format of a name.

    Raises:
        InterchangeError: there is none.
    """
    for candidate in FORMATS:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in FORMATS)
    raise InterchangeError(f"{name!r:.80} is no format. The formats are {names}.")


def recognised_formats(files: DatasetFiles) -> list[DatasetFormat]:
    """Return the formats that fit, the one to read first.

    Raises:
        InterchangeError: none fits, or a file cannot be read.
    """
    formats = [candidate for candidate in FORMATS if candidate.recognises(files)]
    if not formats and not files.images:
        raise InterchangeError(
            f"{files.name}: there are no images in it. JPEG, PNG, TIFF, BMP and WebP are read."
        )
    if not formats:
        titles = ", ".join(candidate.title for candidate in FORMATS)
        raise InterchangeError(
            f"{files.name}: it is in none of the known formats ({titles}). Name folders by labels, "
            "such as good and scratch. If all images are anomalies, select the format folders."
        )
    return formats
