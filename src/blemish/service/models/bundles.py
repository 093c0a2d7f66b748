"""Reading and writing the bundles of models, which are sealed on the disk.

A folder below `bundles` holds the files of one bundle. Each file is sealed and named `*.sealed`; in
folders of older versions the files are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
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
from blemish.storage.errors import EncryptionError
from blemish.storage.files import publish_folder, remove_tree

SUFFIX = ".sealed"

T = TypeVar("T")


class Bundles:
    """The bundles in a folder. Names are never reused."""

    def __init__(self, folder: Path, *, staging: Path, encryption: Encryption) -> None:
        self._folder = folder
        self._staging = staging
        self.encryption = encryption

    def read(self, name: str) -> Bundle:
        """Read a bundle into memory and verify its checksums.

        Raises:
            BundleError: a file is missing, damaged, or of an unknown format.
            EncryptionError: its key is missing, or a file belongs to another bundle.
        """
        folder = self._folder / name
        return parse_bundle(partial(self._open, folder), name=str(folder))

    def info(self, name: str) -> BundleInfo:
        """Read the description of a bundle, without its graph.

        Raises:
            BundleError, EncryptionError: as `read`.
        """
        folder = self._folder / name
        return parse_info(partial(self._open, folder), name=str(folder))

    def add(self, name: str, bundle: Bundle, *, kms_key_id: str | None) -> None:
        """Write a bundle durably.

        Args:
            name: a new name.
            bundle: the content.
            kms_key_id: the key to seal it with; None for the default one.

        Raises:
            EncryptionError: it cannot be sealed.
            StoreWriteError: it cannot be written.
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
        """Move a folder that `write_sealed` wrote into this folder.

        Raises:
            StoreWriteError: it cannot be moved.
        """
        publish_folder(folder, self._folder / name)

    def remove(self, name: str) -> None:
        """Remove a bundle, if it exists."""
        remove_tree(self._folder / name, staging=self._staging)

    def _open(self, folder: Path, file: str) -> bytes:
        plain = (folder / CHECKSUMS).exists()  # of an older version
        path = folder / (file if plain else f"{file}{SUFFIX}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"The bundle's file {path} cannot be read: {error.strerror}."
            ) from error
        if plain:
            return content
        context = _context(folder.name, file)
        return self.encryption.open_bytes(content, context=context, name=str(path))


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
