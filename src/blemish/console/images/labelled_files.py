"""The files of an upload as readers of labels need them."""

from __future__ import annotations

from pathlib import Path

from blemish.console.images.labelled_uploads import LabelledUpload
from blemish.console.language.messages import later, say
from blemish.interchange.files import DatasetFiles, ZipSource
from blemish.interchange.labelled import InterchangeError

MAX_TEXT_BYTES = 64 * 1024 * 1024
"""Of a file of labels, which is read into memory."""


def upload_files(upload: LabelledUpload) -> DatasetFiles:
    """Return the files of a lone ZIP archive, or all that were sent.

    Raises:
        InterchangeError: the archive is damaged.
    """
    if len(upload.files) == 1:
        ((path, file),) = upload.files.items()
        if path.lower().endswith(".zip"):
            return DatasetFiles(ZipSource(file, name=path), max_text_bytes=MAX_TEXT_BYTES)
    return DatasetFiles(_SentFiles(upload.files), max_text_bytes=MAX_TEXT_BYTES)


class _SentFiles:
    """Files of a browser as a source."""

    name = later("the folder")

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def paths(self) -> list[str]:
        return list(self._files)

    def read(self, path: str, max_bytes: int) -> bytes:
        try:
            with self._files[path].open("rb") as file:
                return file.read(max_bytes)
        except OSError as error:
            raise InterchangeError(
                say("{path}: it cannot be read ({strerror}).", path=path, strerror=error.strerror)
            ) from None
