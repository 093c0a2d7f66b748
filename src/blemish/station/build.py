"""Builds a station from its configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from blemish.station.config import StationConfig
from blemish.station.errors import ConfigError
from blemish.station.judge import Judge
from blemish.station.libraries import check_library
from blemish.station.lock import locked_directory
from blemish.station.page.shown_image import ShownImage
from blemish.station.records import Records
from blemish.station.runner import ImageJudge, Station
from blemish.station.sinks.files import LineFileSink
from blemish.station.sinks.folders import FolderSink
from blemish.station.sinks.registry import build_sink
from blemish.station.sinks.sink import Sink
from blemish.station.sources.folder import WatchedFolder
from blemish.station.sources.registry import SOURCE_TYPES, SourceBuilder, build_source
from blemish.station.sources.source import Source
from blemish.station.stored_images import IMAGES
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)


def utc_time() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


def build_connections(
    config: StationConfig, *, source_types: Mapping[str, SourceBuilder] = SOURCE_TYPES
) -> tuple[list[Source], list[Sink]]:
    """Build the sources and sinks, and open none of them.

    Raises:
        ConfigError: a setting is wrong, or two of them contradict each other.
    """
    sources = [build_source(source, source_types) for source in config.sources]
    sinks = [build_sink(sink) for sink in config.sinks]
    _check_files([sink for sink in sinks if isinstance(sink, LineFileSink)])
    written = [config.directory / IMAGES]
    for sink in sinks:
        written += sink.folders if isinstance(sink, FolderSink) else ()
    _check_watched([source for source in sources if isinstance(source, WatchedFolder)], written)
    return sources, sinks


@contextmanager
def running_station(
    config: StationConfig,
    *,
    judge: ImageJudge | None = None,
    source_types: Mapping[str, SourceBuilder] = SOURCE_TYPES,
    recorded: Callable[[Verdict], None] = lambda _verdict: None,
) -> Iterator[Station]:
    """Run a station until the context ends.

    Args:
        config: of the station.
        judge: judges instead of the component that `config` names.
        source_types: the types of sources that there are.
        recorded: called with each new verdict once it is on record.

    Raises:
        StationError: a setting is wrong, another station runs in the directory, or the component
            cannot be loaded.
    """
    sources, sinks = build_connections(config, source_types=source_types)
    with locked_directory(config.directory):
        judge = judge or Judge(config.model, now=utc_time)
        records = Records(config.directory, rules=config.records, sinks=config.sinks)
        for name, count in records.waiting_for_others().items():
            logger.warning("%d verdicts wait for the sink %s, which is not configured", count, name)
        try:
            records.drift.forget_others({source.name for source in config.sources}, at=utc_time())
            station = Station(
                judge=judge,
                records=records,
                sources=list(zip(sources, config.sources, strict=True)),
                sinks=sinks,
                recorded=recorded,
            )
            station.start()
            try:
                with _served_page(config, station):
                    yield station
            finally:
                station.stop()
        finally:
            records.close()


def _check_watched(sources: Sequence[WatchedFolder], written: Sequence[Path]) -> None:
    """Refuse a source that would take the images that the station writes, again and again.

    Raises:
        ConfigError: there is one.
    """
    for source in sources:
        path = Path(os.path.realpath(source.path))
        for folder in written:
            if path.is_relative_to(os.path.realpath(folder)):
                raise ConfigError(
                    f"[[source]] {source.name} watches {source.path}, where the station writes "
                    "images itself. Give it another folder."
                )


def _check_files(sinks: Sequence[LineFileSink]) -> None:
    """Refuse two sinks that would mix their lines in one file.

    Raises:
        ConfigError: there are two.
    """
    names: dict[Path, str] = {}
    for sink in sinks:
        path = Path(os.path.normpath(sink.path))
        if path in names:
            raise ConfigError(
                f"[[sink]] {names[path]} and {sink.name} both write {path}. Give each its own file."
            )
        names[path] = sink.name


@contextmanager
def _served_page(config: StationConfig, station: Station) -> Iterator[None]:
    """Serve the page, if there is one.

    Raises:
        StationError: its address cannot be listened on, or a library is missing.
    """
    if config.page is None:
        yield
        return
    for module in ("starlette", "uvicorn"):
        check_library(module, user="[page]")
    from blemish.station.page.server import StationPage  # noqa: PLC0415 - of an extra

    page = StationPage(config.page, status=station.status, shown=lambda: _shown(station))
    page.start()
    logger.info("the page is at %s", page.address)
    try:
        yield
    finally:
        page.close()


def _shown(station: Station) -> ShownImage | None:
    latest = station.latest_image()
    if latest is None:
        return None
    return ShownImage(
        verdict=latest.verdict,
        content=latest.image.content,
        anomaly_map=latest.detection.anomaly_map,
    )
