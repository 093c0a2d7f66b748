"""Manifests of Lookout for Vision and Ground Truth, with files beside them.

References may be `s3://bucket/key` of a bucket that was copied into the folder, or paths in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from blemish.domain.manifest import METADATA, REF, LineError, parse_line
from blemish.interchange.files import DatasetFiles
from blemish.interchange.label_names import set_in_path, set_in_words
from blemish.interchange.labelled import ColorMask, InterchangeError, LabelledImage, ReadingNotes

SUFFIXES = (".manifest", ".jsonl", ".jsonlines")

_S3 = re.compile(r"s3://[^/]+/")
_LOCAL = "s3://folder/"
"""Stands before paths, so that a line is read by the same rules as those in buckets."""


def manifest_files(files: DatasetFiles) -> list[str]:
    """Return the paths of the manifests."""
    return [path for path in files.ending(*SUFFIXES) if _is_manifest(files, path)]


def recognises_manifests(files: DatasetFiles) -> bool:
    """Return whether there is a manifest."""
    return bool(manifest_files(files))


def read_manifests(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images of all manifests."""
    for path in manifest_files(files):
        images: dict[str, LabelledImage] = {}
        for row, line in enumerate(files.read_text(path).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                image = _image(files, path, line)
            except (ValueError, LineError, RecursionError) as error:
                notes.problem(path, f"line {row:,}: {error}")
            else:
                notes.unused["line of an image that has a later one"] += image.path in images
                images[image.path] = image
        yield from images.values()


def _is_manifest(files: DatasetFiles, path: str) -> bool:
    try:
        lines = files.read_text(path).lstrip()
        first = json.loads(lines.partition("\n")[0])
    except (InterchangeError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "source-ref" in first


def _image(files: DatasetFiles, source: str, line: str) -> LabelledImage:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("it must be a JSON object")
    entry = parse_line(json.dumps(_local(fields), ensure_ascii=False))
    color_mask = None
    if entry.mask is not None:
        color_mask = ColorMask(
            path=_path(files, source, entry.mask.ref.key),
            colors=entry.mask.colors,
            orientation=entry.mask.orientation,
        )
    path = _path(files, source, entry.image.key)
    return LabelledImage(
        path=path,
        set_name=set_in_words(source.rpartition("/")[2])
        or set_in_path(source)
        or set_in_path(path),
        label=entry.label,
        color_mask=color_mask,
        source=source,
    )


def _local(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line with the bucket of every reference replaced."""
    return {
        name: _LOCAL + _S3.sub("", value, count=1)
        if name.endswith(REF) and not name.endswith(METADATA) and isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def _path(files: DatasetFiles, source: str, key: str) -> str:
    """Return the path of the longest end of a key that is there, or of a file of its name."""
    parts = key.split("/")
    for start in range(len(parts)):
        ending = "/".join(parts[start:])
        if ending in files.known:
            return ending
    path = files.image_named(key, near=source)
    if path is None:
        raise ValueError(f"there is no file {key!r:.300}")
    return path
