"""The bundles of the models: sealed on the disk, plain in memory alone.

The one place where a model's bundle is read, and where one is written. A folder below `bundles`
holds the files of one bundle, each sealed and with `.sealed` after its name; a folder of an older
version holds them as they are.
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
    """The folder of the bundles. A name is never given to a second bundle."""

    def __init__(self, folder: Path, *, staging: Path, encryption: Encryption) -> None:
        self._folder = folder
        self._staging = staging
        self.encryption = encryption

    def read(self, name: str) -> Bundle:
        """Open a bundle to memory and verify its checksums.

        Raises:
            BundleError: a file is missing, damaged, or of a format that is not known here.
            EncryptionError: its key is not there, or a file was sealed as something else.
        """
        folder = self._folder / name
        return parse_bundle(partial(self._open, folder), name=str(folder))

    def info(self, name: str) -> BundleInfo:
        """Open what a bundle says of itself, without its graph.

        Raises:
            BundleError, EncryptionError: as `read`.
        """
        folder = self._folder / name
        return parse_info(partial(self._open, folder), name=str(folder))

    def add(self, name: str, bundle: Bundle, *, kms_key_id: str | None) -> None:
        """Keep a bundle, so that it survives a power cut once this returns.

        Args:
            name: of the bundle, which no other has.
            bundle: what is kept.
            kms_key_id: of the key that seals it; None for the default one.

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
        """Keep the bundle that `write_sealed` wrote into a folder, which is moved.

        Raises:
            StoreWriteError: it cannot be done.
        """
        publish_folder(folder, self._folder / name)

    def remove(self, name: str) -> None:
        """Remove a bundle, if it exists."""
        remove_tree(self._folder / name, staging=self._staging)

    def remove_unnamed(self, names: set[str]) -> None:
        """Remove every bundle that is not among `names`: what a crash left behind."""
        for folder in self._folder.iterdir():
            if folder.name not in names:
                self.remove(folder.name)

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
    """Use the bundle of a model; once more if it got another meanwhile, as a moved one does.

    Args:
        current: reads from the row which one it is.
        use: what is done with the bundle of this name.

    Raises:
        BundleError, EncryptionError: it cannot be used, and is still the model's.
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
    """Seal a bundle into a folder that exists, to be published under `name`.

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
