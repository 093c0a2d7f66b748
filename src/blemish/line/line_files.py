"""The files of lines: a folder for each, with its settings, whether it is stopped, its records.

lines/NAME/line.toml      the settings
lines/NAME/stopped        there while a person has stopped the line
lines/NAME/station.db     the records, and images/ beside them
"""

from __future__ import annotations

import re
from pathlib import Path

from blemish.storage.data_directory import DataDirectory
from blemish.storage.files import remove_tree, sync_folder, write_durably

SETTINGS, STOPPED = "line.toml", "stopped"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")


def is_line_name(name: str) -> bool:
    """Return whether a line may have a name: its folder and its page have it too."""
    return _NAME.fullmatch(name) is not None


class LineFiles:
    """The folders of all lines in a data directory."""

    def __init__(self, directory: DataDirectory) -> None:
        self._root = directory.lines
        self._staging = directory.staging

    def names(self) -> list[str]:
        """Return the names of all lines."""
        if not self._root.is_dir():
            return []
        names = (path.parent.name for path in self._root.glob(f"*/{SETTINGS}"))
        return sorted(filter(is_line_name, names))

    def exists(self, name: str) -> bool:
        """Return whether there is a line."""
        return is_line_name(name) and (self._root / name / SETTINGS).is_file()

    def folder(self, name: str) -> Path:
        """Return the folder of a line."""
        return self._root / name

    def settings(self, name: str) -> str:
        """Return the settings of a line that exists."""
        return (self._root / name / SETTINGS).read_text("utf-8", "replace")

    def write(self, name: str, settings: str) -> None:
        """Create a line or change the settings of one.

        Raises:
            StoreWriteError: they cannot be written.
        """
        write_durably(self._root / name / SETTINGS, settings.encode(), staging=self._staging)

    def is_stopped(self, name: str) -> bool:
        """Return whether a person has stopped a line."""
        return (self._root / name / STOPPED).exists()

    def set_stopped(self, name: str, *, stopped: bool) -> None:
        """Remember that a line is stopped, or that it is not."""
        mark = self._root / name / STOPPED
        if stopped:
            write_durably(mark, b"", staging=self._staging)
        else:
            mark.unlink(missing_ok=True)
            sync_folder(mark.parent)

    def delete(self, name: str) -> None:
        """Remove a line with its records and images."""
        remove_tree(self._root / name, staging=self._staging)
