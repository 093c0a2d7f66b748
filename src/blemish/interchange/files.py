"""The files of a folder or a ZIP archive, read by paths that annotations of other tools name.

Nothing outside is ever opened: a name of an annotation is looked up in the list of files.
"""

from __future__ import annotations

import json
import os
import posixpath
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from blemish.domain.file_managers import is_file_manager_file
from blemish.engine.images.formats import SUFFIXES
from blemish.interchange.labelled import InterchangeError

MAX_IMAGE_BYTES = 256 * 1024 * 1024
"""Of an image or a mask file; the limits of the service are checked later."""

MAX_TEXT_BYTES = 1_000_000_000
"""Of a file of annotations, as of a manifest."""


_VOC_MASKS = ("segmentationclass", "segmentationobject")

MASK_FOLDERS = frozenset({"mask", "masks", "ground_truth", "mask-images", *_VOC_MASKS})
"""Folders of masks, in lower case."""

HEAD_BYTES = 16 * 1024
"""Of a file, by which its kind is recognised."""

_ZIP_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, EOFError)


class JsonKind(StrEnum):
    """What a JSON file is by its first bytes."""

    LIST = "list"
    #: an object with shapes, as labelme writes one for each image
    SHAPES = "shapes"
    OBJECT = "object"


class FileSource(Protocol):
    """Where files come from."""

    #: what people know it by
    name: str

    def paths(self) -> list[str]:
        """Return the paths of all files, with slashes."""

    def read(self, path: str, max_bytes: int) -> bytes:
        """Return the first bytes of a file, at most so many.

        Raises:
            InterchangeError: it cannot be read.
        """


class DatasetFiles:
    """The files of a source, sorted, with what readers look up again and again."""

    def __init__(self, source: FileSource, *, max_text_bytes: int = MAX_TEXT_BYTES) -> None:
        self._source = source
        self._max_text_bytes = max_text_bytes
        self._parsed: tuple[str, Any] = ("", None)
        self.name = source.name
        self.paths = sorted(path for path in source.paths() if not is_file_manager_file(path))

    @cached_property
    def known(self) -> frozenset[str]:
        """All paths."""
        return frozenset(self.paths)

    @cached_property
    def images(self) -> Sequence[str]:
        """The paths that end as those of images do, masks among them."""
        return [path for path in self.paths if path.lower().endswith(SUFFIXES)]

    @cached_property
    def product_images(self) -> Sequence[str]:
        """The paths of images that are in no folder of masks."""
        return [path for path in self.images if not in_mask_folder(path)]

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        by_name = defaultdict[str, list[str]](list)
        for path in self.images:
            by_name[_plain_name(path)].append(path)
        return by_name

    def ending(self, *suffixes: str) -> list[str]:
        """Return the paths that end so, in any case."""
        return [path for path in self.paths if path.lower().endswith(suffixes)]

    def image_named(self, name: str, *, near: str = "") -> str | None:
        """Return the path of the image that an annotation names; None if there is none.

        Tools write paths of their own machine. So the name is tried from the folder of the file
        that names it, from the root, and then by its last part, which must be unique.

        Args:
            name: of the annotation, with slashes or backslashes.
            near: path of the file that names it.
        """
        name = name.replace("\\", "/")
        for folder in (posixpath.dirname(near), ""):
            path = posixpath.normpath(posixpath.join(folder, name))
            if path in self.known:
                return path
        same = self._by_name.get(_plain_name(name), [])
        if len(same) > 1:
            same = [path for path in same if _tail(path) == _tail(name)]
        return same[0] if len(same) == 1 else None

    def read_image(self, path: str) -> bytes:
        """Return the content of an image or a mask.

        Raises:
            InterchangeError: it cannot be read.
        """
        return self._read(path, MAX_IMAGE_BYTES)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file of annotations.

        Raises:
            InterchangeError: it cannot be read, or is too large.
        """
        return self._read(path, self._max_text_bytes)

    def head(self, path: str) -> bytes:
        """Return the first bytes of a file, by which its kind is recognised.

        Raises:
            InterchangeError: it cannot be read.
        """
        return self._source.read(path, HEAD_BYTES)

    @cached_property
    def json_kinds(self) -> Mapping[str, JsonKind]:
        """The JSON files, with what their first bytes say that they are."""
        return {path: _json_kind(self.head(path)) for path in self.ending(".json")}

    def read_text(self, path: str) -> str:
        """Return the text of a file of annotations.

        Raises:
            InterchangeError: it cannot be read, is too large, or is no UTF-8.
        """
        try:
            return self.read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InterchangeError(f"{path}: it is not UTF-8 text: byte {error.start}.") from None

    def read_json(self, path: str) -> Any:
        """Return the value of a JSON file; the last one is remembered.

        Raises:
            InterchangeError: it cannot be read, is too large, or is no JSON.
        """
        if self._parsed[0] != path:
            try:
                self._parsed = (path, json.loads(self.read_text(path)))
            except (ValueError, RecursionError) as error:
                raise InterchangeError(f"{path}: it is not JSON ({error}).") from None
        return self._parsed[1]

    def _read(self, path: str, max_bytes: int) -> bytes:
        data = self._source.read(path, max_bytes + 1)
        if len(data) > max_bytes:
            raise InterchangeError(f"{path}: it has more than {max_bytes:,} bytes.")
        return data


class FolderSource:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def paths(self) -> list[str]:
        paths = []
        for folder, folders, names in os.walk(self._folder):
            below = Path(folder).relative_to(self._folder)
            for name in folders:
                if Path(folder, name).is_symlink():
                    raise InterchangeError(
                        f"{(below / name).as_posix()}: it is a link to another folder, which is "
                        "not read. Put the folder itself there, or remove the link."
                    )
            paths += [(below / name).as_posix() for name in names]
        return paths

    def read(self, path: str, max_bytes: int) -> bytes:
        file_path = self._folder / path
        if file_path.exists() and not file_path.is_file():
            raise InterchangeError(f"{path}: it is a pipe, a socket or a device, and no file.")
        try:
            with file_path.open("rb") as file:
                return file.read(max_bytes)
        except OSError as error:
            raise InterchangeError(f"{path}: it cannot be read ({error.strerror}).") from None


class ZipSource:
    """A ZIP archive."""

    def __init__(self, archive: Path, *, name: str = "") -> None:
        """Open an archive.

        Raises:
            InterchangeError: it is none, or names a file outside of itself.
        """
        self.name = name or str(archive)
        try:
            self._zip = zipfile.ZipFile(archive)
        except (*_ZIP_ERRORS, ValueError) as error:
            raise InterchangeError(f"{self.name}: it is not a ZIP archive ({error}).") from None
        self._entries = {
            entry.filename: entry for entry in self._zip.infolist() if not entry.is_dir()
        }
        for path in self._entries:
            if path.startswith("/") or ".." in path.replace("\\", "/").split("/"):
                raise InterchangeError(f"{self.name}: {path!r:.300} is outside of the archive.")

    def paths(self) -> list[str]:
        return list(self._entries)

    def read(self, path: str, max_bytes: int) -> bytes:
        try:
            with self._zip.open(self._entries[path]) as file:
                return file.read(max_bytes)
        except (*_ZIP_ERRORS, RuntimeError, NotImplementedError) as error:
            raise InterchangeError(f"{path}: it cannot be read ({error}).") from None

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()


def open_files(path: Path, *, max_text_bytes: int = MAX_TEXT_BYTES, name: str = "") -> DatasetFiles:
    """Return the files of a folder or a ZIP archive.

    Raises:
        InterchangeError: it is neither.
    """
    if path.is_dir():
        return DatasetFiles(FolderSource(path), max_text_bytes=max_text_bytes)
    return DatasetFiles(ZipSource(path, name=name), max_text_bytes=max_text_bytes)


def in_mask_folder(path: str) -> bool:
    """Return whether a file is in a folder of masks."""
    return not MASK_FOLDERS.isdisjoint(path.casefold().split("/")[:-1])


def _tail(path: str) -> list[str]:
    """Return the last two parts of a path."""
    return unicodedata.normalize("NFC", path).casefold().split("/")[-2:]


def _plain_name(path: str) -> str:
    """Return the last part of a path in one spelling; macOS writes letters and accents apart."""
    return unicodedata.normalize("NFC", posixpath.basename(path)).casefold()


def _json_kind(head: bytes) -> JsonKind:
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        return JsonKind.LIST
    return JsonKind.SHAPES if b'"shapes"' in head or b'"imagePath"' in head else JsonKind.OBJECT
