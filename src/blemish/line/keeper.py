"""The lines of a server. Nothing is imported or started while there are none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.arns import ArnScope
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.line.line_files import LineFiles, is_line_name
from blemish.line.line_model import LineModel
from blemish.storage.data_directory import DataDirectory

if TYPE_CHECKING:
    from blemish.line.config import LineConfig
    from blemish.line.line import Line
    from blemish.service.detection.detection import DetectionService

logger: FilteringBoundLogger = structlog.get_logger(__name__)


class LineKeeper:
    """Creates, runs and removes lines; any thread may use it."""

    def __init__(
        self,
        directory: DataDirectory,
        *,
        detection: DetectionService,
        arns: ArnScope,
        now: Callable[[], datetime],
    ) -> None:
        self._arns = arns
        self._files = LineFiles(directory)
        self._detection = detection
        self._now = now
        #: held by each change, which may wait for the end of a process
        self._changing = threading.Lock()
        #: replaced as a whole, so that readers wait for nothing
        self._lines: Mapping[str, Line] = {}

    def start(self) -> None:
        """Run the lines that nobody has stopped."""
        with self._changing:
            self._lines = {name: self._opened(name) for name in self._files.names()}
            for name, line in self._lines.items():
                if not self._files.is_stopped(name):
                    line.start()

    def stop(self) -> None:
        """End all lines; those that ran run again after the next start."""
        with self._changing:
            for line in self._lines.values():
                line.ask_to_stop()
            for line in self._lines.values():
                line.stop()

    def arn(self, name: str) -> str:
        """Return the ARN of a line, for policies."""
        return self._arns.line(name)

    def names(self) -> list[str]:
        """Return the names of all lines."""
        return sorted(self._lines)

    def line(self, name: str) -> Line:
        """Return a line.

        Raises:
            ResourceNotFoundError: there is none.
        """
        line = self._lines.get(name)
        if line is None:
            raise ResourceNotFoundError(
                f"There is no line {name[:100]}.",
                resource_type=ResourceType.LINE,
                resource_id=name[:100],
            )
        return line

    def models(self, name: str, settings: str) -> tuple[LineModel, ...]:
        """Return the models that settings name.

        Raises:
            ValidationError: a setting is wrong.
        """
        config = self._check(name, settings)
        first = LineModel(project=config.project, version=config.version)
        return (first,) if config.shadow is None else (first, config.shadow)

    def alarms(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield line, source and kind of each alarm, and whether it lasts, of lines that run."""
        for line in self._lines.values():
            yield from line.alarms()

    def create(self, name: str, settings: str) -> None:
        """Create a line and run it.

        Raises:
            ValidationError: its name or a setting is wrong.
            ConflictError: there is one of this name.
            StorageError: it cannot be written.
        """
        if not is_line_name(name):
            raise ValidationError(
                f"The name is {name[:100]!r}; it must be 1 to 63 letters, digits, '_' or '-', "
                "and begin with a letter or a digit."
            )
        with self._changing:
            if name in self._lines:
                raise ConflictError(
                    f"There is a line {name} already.",
                    resource_type=ResourceType.LINE,
                    resource_id=name,
                )
            self._check(name, settings)
            self._files.write(name, settings)
            line = self._opened(name)
            self._lines = {**self._lines, name: line}
            line.start()

    def change(self, name: str, settings: str) -> None:
        """Change the settings of a line; it starts again with them if it runs.

        Raises:
            ResourceNotFoundError: there is no such line.
            ValidationError: a setting is wrong.
            StorageError: they cannot be written.
        """
        with self._changing:
            line = self.line(name)
            self._check(name, settings)
            self._files.write(name, settings)
            line.change(settings)
            if not self._files.is_stopped(name):
                line.start()

    def exchange_models(self, name: str) -> None:
        """Let the second model of a line judge, and the first one silently, without a pause.

        Raises:
            ResourceNotFoundError: there is no such line.
            ValidationError: it has no second model, or its settings cannot be changed.
            StorageError: they cannot be written.
        """
        from blemish.line.config import exchange_models  # noqa: PLC0415 - as above
        from blemish.station.errors import ConfigError  # noqa: PLC0415

        with self._changing:
            line = self.line(name)
            try:
                settings = exchange_models(line.settings, directory=line.folder)
            except ConfigError as error:
                raise ValidationError(str(error)) from None
            self._files.write(name, settings)
            line.exchange_models(settings)

    def run(self, name: str, *, stopped: bool) -> None:
        """Start or stop a line; it stays so after a restart of the server.

        Raises:
            ResourceNotFoundError: there is no such line.
            StorageError: that cannot be written.
        """
        with self._changing:
            line = self.line(name)
            if self._files.is_stopped(name) == stopped:
                return
            self._files.set_stopped(name, stopped=stopped)
            if stopped:
                line.stop()
            else:
                line.start()

    def delete(self, name: str) -> None:
        """Stop a line, and remove it with its records and images.

        Raises:
            ResourceNotFoundError: there is no such line.
        """
        with self._changing:
            self.line(name).stop()
            self._lines = {other: line for other, line in self._lines.items() if other != name}
            self._files.delete(name)

    def _opened(self, name: str) -> Line:
        from blemish.line.line import Line  # noqa: PLC0415 - a server without lines needs none

        settings, problem = "", ""
        try:
            settings = self._files.settings(name)
        except OSError as error:  # of one line: the others run
            problem = f"The settings cannot be read: {error}."
        return Line(
            name,
            folder=self._files.folder(name),
            settings=settings,
            problem=problem,
            detection=self._detection,
            now=self._now,
        )

    def _check(self, name: str, settings: str) -> LineConfig:
        from blemish.line.config import check_line_config  # noqa: PLC0415 - as above
        from blemish.station.errors import ConfigError  # noqa: PLC0415

        try:
            return check_line_config(settings, directory=self._files.folder(name))
        except ConfigError as error:
            raise ValidationError(str(error)) from None
