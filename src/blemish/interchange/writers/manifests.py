"""Manifests of Lookout for Vision: `train.manifest` and `masks`.

References are paths in the archive. Put `s3://bucket/prefix/` before them to use the manifests
where they lie.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from blemish.interchange.archives import DatasetArchive, ExportImage, SpooledList
from blemish.interchange.drafts import import_line


class ManifestWriter:
    """Writes a manifest for each dataset."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        self._lines = defaultdict[str, SpooledList](lambda: SpooledList(b"\n"))

    def image_path(self, image: ExportImage) -> str | None:
        return image.path

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        mask_ref = None
        if image.mask_data is not None:
            mask_ref = f"masks/{image.kind}/{image.stem}.png"
            archive.write(mask_ref, image.mask_data)
        line = import_line(
            image.path,
            label=image.label,
            mask_ref=mask_ref,
            colors=image.colors,
            mask_orientation=image.mask_orientation,
            now=self._now,
        )
        self._lines[image.kind].add(line)

    def finish(self, archive: DatasetArchive) -> None:
        for kind, lines in self._lines.items():
            archive.write_parts(f"{kind}.manifest", [*lines.parts(), b"\n"])
