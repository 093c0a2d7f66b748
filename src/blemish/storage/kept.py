"""Files that the service keeps for itself, by name: frozen entries, changes not yet applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from blemish.storage.files import write_durably


class KeptFiles:
    """A folder of files that are written once, whole, and read until they are deleted."""

    def __init__(self, root: Path, *, staging: Path) -> None:
        self._root = root
        self._staging = staging

    def path(self, name: str) -> Path:
        """Return where the file of this name lies."""
        return self._root / name

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file so that it survives a power cut once this returns."""
        write_durably(self.path(name), data, staging=self._staging)

    def lines(self, name: str) -> Iterator[str]:
        """Yield the lines of a text file, in bounded memory."""
        with self.path(name).open(encoding="utf-8", newline="\n") as file:
            yield from file

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def delete_unnamed(self, names: set[str]) -> None:
        """Delete every file that is not among `names`: what a crash left behind."""
        for path in self._root.iterdir():
            if path.name not in names:
                path.unlink()
