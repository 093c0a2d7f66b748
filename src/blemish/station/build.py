"""Builds a station from its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from blemish.station.config import StationConfig
from blemish.station.judge import Judge
from blemish.station.lock import locked_directory
from blemish.station.records import Records
from blemish.station.runner import Station
from blemish.station.sinks.registry import build_sink
from blemish.station.sources.registry import build_source


@contextmanager
def running_station(config: StationConfig) -> Iterator[Station]:
    """Run a station until the context ends.

    Raises:
        StationError: a setting is wrong, another station runs in the directory, or the component
            cannot be loaded.
    """
    sources = [(build_source(source), source) for source in config.sources]
    sinks = [build_sink(sink) for sink in config.sinks]
    with locked_directory(config.directory):
        judge = Judge(config.model, now=lambda: datetime.now(UTC))
        records = Records(config.directory, rules=config.records, sinks=config.sinks)
        try:
            station = Station(judge=judge, records=records, sources=sources, sinks=sinks)
            station.start()
            try:
                yield station
            finally:
                station.stop()
        finally:
            records.close()
