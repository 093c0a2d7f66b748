"""Files of verdicts: JSON Lines and CSV, one line for each verdict."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError
from blemish.station.sinks.appended_file import AppendedFile
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

COLUMNS = (
    "id",
    "time",
    "source",
    "image_name",
    "verdict",
    "confidence",
    "score",
    "threshold",
    "component",
    "component_version",
    "anomalies",
    "image_path",
)


class LineFileSink:
    """Appends a line for each verdict to a file, or to a file for each day."""

    def __init__(
        self,
        name: str,
        *,
        path: Path,
        write_line: Callable[[Verdict], bytes],
        header: bytes = b"",
        daily: bool = False,
    ) -> None:
        self.name, self.path = name, path
        self._daily = daily
        self._write_line, self._header = write_line, header
        self._file: AppendedFile | None = None

    def deliver(self, verdict: Verdict) -> None:
        """Append the verdict's line; it is on the disk when this returns."""
        path = self._path_of(verdict)
        if self._file is None or self._file.path != path:
            self.close()
            self._file = AppendedFile(path, header=self._header)
        try:
            self._file.append(self._write_line(verdict))
        except OSError as error:
            self.close()
            raise SinkError(f"{path} cannot be written: {error.strerror}.") from None

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _path_of(self, verdict: Verdict) -> Path:
        if not self._daily:
            return self.path
        day = verdict.time.astimezone(UTC).date().isoformat()
        return self.path.with_name(f"{self.path.stem}-{day}{self.path.suffix}")


def json_line(verdict: Verdict) -> bytes:
    """Return a verdict as one line of JSON."""
    return json.dumps(verdict.to_json()).encode() + b"\n"


def csv_line(verdict: Verdict) -> bytes:
    """Return a verdict as one line of CSV, in the order of `COLUMNS`.

    Ends of lines within a name are escaped: a file can then be cut at any end of a line.
    """
    document = verdict.to_json()
    document["verdict"] = "NOT OK" if verdict.is_anomalous else "OK"
    document["anomalies"] = "; ".join(f"{area.name} {area.share:.6f}" for area in verdict.anomalies)
    return _csv([_one_line(document[column]) for column in COLUMNS])


def _one_line(value: object) -> object:
    if not isinstance(value, str):
        return value
    return value.replace("\r", "\\r").replace("\n", "\\n")


def _csv(values: list[object] | tuple[str, ...]) -> bytes:
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerow(values)
    return output.getvalue().encode()


def build_json_lines_sink(name: str, table: ConfigTable) -> Sink:
    """Build a sink that writes JSON Lines."""
    return LineFileSink(
        name,
        path=table.path("path"),
        daily=table.flag("daily", default=False),
        write_line=json_line,
    )


def build_csv_sink(name: str, table: ConfigTable) -> Sink:
    """Build a sink that writes CSV."""
    return LineFileSink(
        name,
        path=table.path("path"),
        daily=table.flag("daily", default=False),
        write_line=csv_line,
        header=_csv(COLUMNS),
    )
