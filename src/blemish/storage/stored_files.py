"""Files that belong to rows: frozen entries, pending changes, parts of uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import cast

from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.sealed_header import START
from blemish.storage.errors import ObjectReadError
from blemish.storage.files import write_durably
from blemish.storage.shared.folders import SharedFolders


class StoredFiles:
    """A folder of files that are written once, read and deleted."""

    def __init__(
        self,
        root: Path,
        *,
        staging: Path,
        encryption: Encryption | None,
        shared: SharedFolders | None = None,
    ) -> None:
        """Without `shared`, they are in `root`."""
        self._root = root
        #: in an S3, each file in a folder of its own name
        self._shared = shared
        self._staging = staging
        #: None for parts of the user's own objects, which are not sealed
        self._encryption = encryption

    @property
    def is_shared(self) -> bool:
        """Whether other servers find the files, too."""
        return self._shared is not None

    def path(self, name: str) -> Path:
        """Return the path of a file to read.

        Raises:
            ObjectError: it is in an S3 that lacks it or does not answer.
        """
        return self._shared.path(name, name) if self._shared else self._root / name

    def write(
        self, name: str, data: bytes | Iterable[bytes], *, kms_key_id: str | None = None
    ) -> None:
        """Write a file durably, and seal it if this folder is encrypted.

        Args:
            name: file name.
            data: the content.
            kms_key_id: the key to seal it with; None for the default one.

        Raises:
            StoreWriteError: it cannot be written.
            EncryptionError: it cannot be sealed.
            StoreUnavailableError: it belongs into an S3 that does not answer.
        """
        if self._encryption:
            data = self._encryption.seal(data, context=_context(name), kms_key_id=kms_key_id)
        if self._shared:
            self._shared.write(name, name, data)
        else:
            write_durably(self._root / name, data, staging=self._staging)

    def lines(self, name: str) -> Iterator[str]:
        """Yield the lines of a text file; see `stored_lines`."""
        assert self._encryption is not None
        return stored_lines(self.path(name), encryption=self._encryption)

    def delete(self, name: str) -> None:
        """Delete a file, if it exists; that may wait for an S3 that does not answer."""
        if self._shared:
            self._shared.discard(name)
        else:
            (self._root / name).unlink(missing_ok=True)

    @contextmanager
    def deleted_on_error(self, name: str | None) -> Iterator[None]:
        """Delete a file, if there is one, when the context ends with an exception."""
        try:
            yield
        except BaseException:
            if name:
                self.delete(name)
            raise


def stored_lines(path: Path, *, encryption: Encryption) -> Iterator[str]:
    """Yield the lines of a text file, sealed or not, in bounded memory.

    Raises:
        ObjectReadError: it cannot be read.
        EncryptionError: it cannot be opened, or its end is missing.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ObjectReadError(f"{path} cannot be read ({error.strerror}).") from error
    with file:
        chunks: Iterable[bytes] = file
        if file.peek(len(START)).startswith(START):  # older versions did not seal files
            chunks = encryption.open(file, context=_context(path.name), name=str(path))
        stream = BufferedReader(cast(RawIOBase, _Chunks(chunks)))
        yield from TextIOWrapper(stream, encoding="utf-8", newline="\n")


def _context(name: str) -> dict[str, str]:
    return {"what": "a kept file", "name": name}


class _Chunks(RawIOBase):
    """A readable file over chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
