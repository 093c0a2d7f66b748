"""Reading and writing the bundles of models, which are sealed on the disk.

A folder holds the files of one bundle: below `bundles` in the data directory, or in an S3 that
several servers share. Each file is sealed and named `*.sealed`; in folders of older versions the
files are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

from blemish.engine.bundle import (
    CHECKSUMS,
    Bundle,
    BundleInfo,
    bundle_files,
    parse_bundle,
    parse_info,
)
from blemish.engine.errors import BundleError
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.errors import EncryptionError, ObjectError, StoreUnavailableError
from blemish.storage.files import publish_folder, remove_tree

SUFFIX = ".sealed"

T = TypeVar("T")


class BundleFolders(Protocol):
    """Where the files of bundles are: a folder for each bundle, written as a whole."""

    def describe(self, name: str) -> str:
        """Return where a bundle is, for messages."""

    def has(self, name: str, file: str) -> bool:
        """Return whether a bundle has a file.

        Raises:
            ObjectError: the store does not answer.
        """

    def path(self, name: str, file: str) -> Path:
        """Return the path of a file to read.

        Raises:
            ObjectError: it is missing or damaged, or the store does not answer.
        """

    def size_bytes(self, name: str) -> int:
        """Return the size of the files of a bundle; 0 if there is none.

        Raises:
            ObjectError: the store does not answer.
        """

    def publish(self, folder: Path, name: str) -> None:
        """Store the files of a folder, which may be moved.

        Raises:
            ObjectError: it cannot be written, or the store does not answer.
        """

    def remove(self, name: str) -> None:
        """Remove a bundle, if it exists.

        Raises:
            ObjectError: it cannot be removed, or the store does not answer.
        """

    def discard(self, name: str) -> None:
        """Remove a bundle that no row names; while the store denies it, that may wait."""


class LocalBundleFolders:
    """Folders below one folder of this machine."""

    def __init__(self, root: Path, *, staging: Path) -> None:
        self._root = root
        self._staging = staging

    def describe(self, name: str) -> str:
        """See `BundleFolders`."""
        return str(self._root / name)

    def has(self, name: str, file: str) -> bool:
        """See `BundleFolders`."""
        return self.path(name, file).exists()

    def path(self, name: str, file: str) -> Path:
        """See `BundleFolders`; the file may be missing."""
        return self._root / name / file

    def size_bytes(self, name: str) -> int:
        """See `BundleFolders`."""
        folder = self._root / name
        return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0

    def publish(self, folder: Path, name: str) -> None:
        """See `BundleFolders`; the folder is moved."""
        publish_folder(folder, self._root / name)

    def remove(self, name: str) -> None:
        """See `BundleFolders`."""
        remove_tree(self._root / name, staging=self._staging)

    def discard(self, name: str) -> None:
        """See `BundleFolders`."""
        self.remove(name)


class Bundles:
    """The bundles in a folder. Names are never reused."""

    def __init__(
        self,
        folder: Path,
        *,
        staging: Path,
        encryption: Encryption,
        shared: BundleFolders | None = None,
    ) -> None:
        """Without `shared`, they are in `folder`."""
        self._folders = shared or LocalBundleFolders(folder, staging=staging)
        self._staging = staging
        self.encryption = encryption

    def read(self, name: str) -> Bundle:
        """Read a bundle into memory and verify its checksums.

        Raises:
            BundleError: a file is missing, damaged, or of an unknown format.
            EncryptionError: its key is missing, or a file belongs to another bundle.
            StoreUnavailableError: it is in an S3 that does not answer.
        """
        return parse_bundle(partial(self._open, name), name=self._folders.describe(name))

    def info(self, name: str) -> BundleInfo:
        """Read the description of a bundle, without its graph.

        Raises:
            BundleError, EncryptionError, StoreUnavailableError: as `read`.
        """
        return parse_info(partial(self._open, name), name=self._folders.describe(name))

    def size_bytes(self, name: str) -> int:
        """Return the size of the files of a bundle; 0 if there is none.

        Raises:
            StoreUnavailableError: it is in an S3 that does not answer.
        """
        return self._folders.size_bytes(name)

    def add(self, name: str, bundle: Bundle, *, kms_key_id: str | None) -> None:
        """Write a bundle durably.

        Args:
            name: a new name.
            bundle: the content.
            kms_key_id: the key to seal it with; None for the default one.

        Raises:
            EncryptionError: it cannot be sealed.
            StoreWriteError: it cannot be written.
            StoreUnavailableError: it belongs into an S3 that does not answer.
        """
        aside = self._staging / uuid4().hex
        aside.mkdir(mode=0o700)
        try:
            write_sealed(
                bundle, aside, name=name, kms_key_id=kms_key_id, encryption=self.encryption
            )
            self.publish(aside, name)
        finally:
            remove_tree(aside, staging=self._staging)

    def publish(self, folder: Path, name: str) -> None:
        """Store a folder that `write_sealed` wrote, which may be moved.

        Raises:
            StoreWriteError: it cannot be stored.
            StoreUnavailableError: it belongs into an S3 that does not answer.
        """
        self._folders.publish(folder, name)

    def remove(self, name: str) -> None:
        """Remove a bundle, if it exists.

        Raises:
            ObjectError: it cannot be removed, or is in an S3 that does not answer.
        """
        self._folders.remove(name)

    def discard(self, name: str) -> None:
        """Remove a bundle that no row names; that may wait for an S3 that does not answer."""
        self._folders.discard(name)

    def _open(self, name: str, file: str) -> bytes:
        path, plain = self._stored(name, file)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"The bundle's file {path} cannot be read: {error.strerror}."
            ) from error
        if plain:
            return content
        return self.encryption.open_bytes(content, context=_context(name, file), name=str(path))

    def _stored(self, name: str, file: str) -> tuple[Path, bool]:
        """Return the path of a file, and whether it is plain, as older versions wrote it."""
        try:
            plain = self._folders.has(name, CHECKSUMS)
            return self._folders.path(name, file if plain else f"{file}{SUFFIX}"), plain
        except StoreUnavailableError:
            raise
        except ObjectError as error:
            raise BundleError(f"The bundle's file {file} cannot be read: {error}") from error


def use_current(current: Callable[[], str], use: Callable[[str], T]) -> T:
    """Use the bundle of a model; try again if the model has got another bundle.

    Args:
        current: returns the name of the bundle from the row.
        use: uses the bundle of this name.

    Raises:
        BundleError, EncryptionError: the current bundle cannot be used.
    """
    name = current()
    while True:
        try:
            return use(name)
        except (BundleError, EncryptionError):
            now = current()
            if now == name:
                raise
            name = now


def write_sealed(
    bundle: Bundle, folder: Path, *, name: str, kms_key_id: str | None, encryption: Encryption
) -> None:
    """Seal a bundle into an existing folder, for publication under `name`.

    Raises:
        EncryptionError: it cannot be sealed.
        OSError: it cannot be written.
    """
    for file, data in bundle_files(bundle).items():
        sealed = encryption.seal(data, context=_context(name, file), kms_key_id=kms_key_id)
        with (folder / f"{file}{SUFFIX}").open("wb") as output:
            output.writelines(sealed)


def _context(name: str, file: str) -> dict[str, str]:
    return {"what": "a bundle", "name": name, "file": file}
