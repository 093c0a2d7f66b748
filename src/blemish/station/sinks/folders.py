"""Folders by verdict: the stored images, sorted into `ok` and `not-ok`."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

from blemish.edge.durable_files import sync_names, write_whole_file
from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

OK_FOLDER, NOT_OK_FOLDER = "ok", "not-ok"


class FolderSink:
    """Adds stored images to a folder of their verdict, each whole or not at all.

    An image is a hard link if the file system allows it, else a copy. A verdict whose image the
    records do not have adds nothing.
    """

    def __init__(self, name: str, *, directory: Path) -> None:
        self.name = name
        self._directory = directory

    @property
    def folders(self) -> tuple[Path, Path]:
        """The folders that get images."""
        return self._directory / OK_FOLDER, self._directory / NOT_OK_FOLDER

    def deliver(self, verdict: Verdict) -> None:
        """Add the image; an image that is there already is left alone."""
        image = verdict.image_path
        if image is None:
            return
        folder = self._directory / (NOT_OK_FOLDER if verdict.is_anomalous else OK_FOLDER)
        time = verdict.time.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = folder / f"{time}-{verdict.id}{image.suffix}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _add(image, target)
            sync_names(folder)
        except FileNotFoundError:
            if image.exists():
                raise SinkError(f"{folder} was removed.") from None
            # the records have removed the image since
        except OSError as error:
            raise SinkError(f"{target} cannot be written: {error.strerror}.") from None

    def close(self) -> None:
        """Release nothing."""


def _add(image: Path, target: Path) -> None:
    """Make a file appear as a whole."""
    try:
        target.hardlink_to(image)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        write_whole_file(target, image.read_bytes())


def build_folder_sink(name: str, table: ConfigTable) -> Sink:
    """Build the sink from its settings."""
    return FolderSink(name, directory=table.path("directory"))
