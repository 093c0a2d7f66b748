"""The configuration of a station: a TOML file.

directory = "/var/lib/blemish-station"  # records and stored images

[[source]]                              # any number, each with a type and a name
[model]                                 # the component that judges
[[sink]]                                # any number, each with a type and a name
[records]                               # which images are stored, and how many
[drift]                                 # which share of anomalies is no alarm
[page]                                  # where the page is; without it there is none
[sync]                                  # which server `blemish station sync` sends images to

What the types of sources and sinks have beside, they read themselves from the table.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from blemish.edge.config import COMPONENTS
from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.drift.shares import ShareBand
from blemish.station.errors import ConfigError

DIRECTORY = Path("/var/lib/blemish-station")

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")


class WhenBusy(StrEnum):
    """What becomes of an image that comes while another one waits."""

    #: it replaces the one that waits, which is counted as dropped
    NEWEST_WINS = "newest-wins"
    #: the source waits
    NEVER_DROP = "never-drop"


class WhenFull(StrEnum):
    """What happens when as many verdicts as allowed wait for a sink."""

    #: no image is judged until the sink takes verdicts again
    PAUSE = "pause"
    #: the oldest ones are dropped, and counted
    DROP_OLDEST = "drop-oldest"


class ImageRule(StrEnum):
    """Which images the records store."""

    ALL = "all"
    ANOMALIES = "anomalies"
    #: those with a score near the threshold
    UNCERTAIN = "uncertain"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A source; `table` has the settings of its type."""

    type: str
    name: str
    when_busy: WhenBusy
    table: ConfigTable


@dataclass(frozen=True, kw_only=True)
class SinkConfig:
    """A sink; `table` has the settings of its type."""

    type: str
    name: str
    #: verdicts that may wait for it
    queue_limit: int
    when_full: WhenFull
    table: ConfigTable


@dataclass(frozen=True, kw_only=True)
class StationModel:
    """The component that judges."""

    component: str
    #: the folder of all components
    components: Path


@dataclass(frozen=True, kw_only=True)
class RecordsConfig:
    """Which images are stored, and how much the records may take."""

    images: frozenset[ImageRule]
    #: a score is uncertain within this share of the threshold, above or below
    uncertain_band: float
    #: of the images that no rule stores, 0 to 1
    share_of_rest: float
    image_budget_bytes: int
    #: verdicts that are remembered; the oldest delivered ones go first
    most_verdicts: int
    #: how old verdicts that every sink has may become; None for any age
    retention: timedelta | None = None
    #: the shares of anomalies that are no alarm; None for those that each source learns
    share_band: ShareBand | None = None


@dataclass(frozen=True, kw_only=True)
class PageConfig:
    """Where the page of the station listens."""

    host: str
    port: int
    #: required unless the host is a loopback address
    token: SecretText | None


@dataclass(frozen=True, kw_only=True)
class SyncConfig:
    """The server that gets the stored images."""

    #: None for AWS_ENDPOINT_URL
    endpoint: str | None
    project: str
    #: the model that judges the images there
    model_version: str
    bucket: str
    #: what keys in the bucket begin with
    prefix: str
    only_uncertain: bool


@dataclass(frozen=True, kw_only=True)
class StationConfig:
    """The settings of a station."""

    directory: Path
    sources: tuple[SourceConfig, ...]
    model: StationModel
    sinks: tuple[SinkConfig, ...]
    records: RecordsConfig
    page: PageConfig | None
    sync: SyncConfig | None


def read_station_config(
    file: Path, *, environment: Mapping[str, str] = os.environ
) -> StationConfig:
    """Read the configuration.

    The settings of the types of sources and sinks are read when these are built.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown, missing or wrong.
    """
    try:
        document = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigError(f"{file} is no TOML: {error}.") from None
    return parse_station_config(document, environment=environment)


def parse_station_config(
    document: Mapping[str, Any], *, environment: Mapping[str, str] = os.environ
) -> StationConfig:
    """Read the configuration from parsed TOML; errors as in `read_station_config`."""
    top = ConfigTable(document, name="The file", environment=environment)
    directory = top.path("directory", DIRECTORY)
    sources = tuple(_source(table) for table in _tables(document, "source", environment))
    sinks = tuple(_sink(table) for table in _tables(document, "sink", environment))
    model = _model(_table(document, "model", environment))
    records = _records(_table(document, "records", environment))
    page = _page(_table(document, "page", environment)) if "page" in document else None
    sync = _sync(_table(document, "sync", environment)) if "sync" in document else None
    share_band = _share_band(_table(document, "drift", environment))
    for name in ("source", "sink", "model", "records", "drift", "page", "sync"):
        top.has(name)
    top.finish()
    if not sources:
        raise ConfigError("The file has no [[source]]. Add one: images must come from somewhere.")
    _check_names("source", [source.name for source in sources])
    _check_names("sink", [sink.name for sink in sinks])
    return StationConfig(
        directory=directory,
        sources=sources,
        model=model,
        sinks=sinks,
        records=replace(records, share_band=share_band),
        page=page,
        sync=sync,
    )


def _table(document: Mapping[str, Any], name: str, environment: Mapping[str, str]) -> ConfigTable:
    values = document.get(name, {})
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name} must be a table: [{name}].")
    return ConfigTable(values, name=f"[{name}]", environment=environment)


def _tables(
    document: Mapping[str, Any], name: str, environment: Mapping[str, str]
) -> list[ConfigTable]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError(f"{name} must be a list of tables: [[{name}]].")
    return [
        ConfigTable(entry, name=f"[[{name}]] {entry.get('name', number)}", environment=environment)
        for number, entry in enumerate(entries, start=1)
    ]


def _source(table: ConfigTable) -> SourceConfig:
    return SourceConfig(
        type=table.text("type"),
        name=_name(table),
        when_busy=WhenBusy(table.choice("when_busy", list(WhenBusy))),
        table=table,
    )


def _sink(table: ConfigTable) -> SinkConfig:
    return SinkConfig(
        type=table.text("type"),
        name=_name(table),
        queue_limit=table.integer("queue_limit", 100_000, least=1),
        when_full=WhenFull(table.choice("when_full", list(WhenFull), WhenFull.PAUSE)),
        table=table,
    )


def _model(table: ConfigTable) -> StationModel:
    model = StationModel(
        component=table.text("component"), components=table.path("components", COMPONENTS)
    )
    table.finish()
    return model


def _records(table: ConfigTable) -> RecordsConfig:
    rules = table.texts("images", (ImageRule.ANOMALIES, ImageRule.UNCERTAIN))
    if unknown := [rule for rule in rules if rule not in list(ImageRule)]:
        raise ConfigError(
            f"[records] images has {unknown[0]!r}; there are {', '.join(sorted(ImageRule))}."
        )
    days = table.integer("retention_days", 0, least=0, most=36_500)
    records = RecordsConfig(
        images=frozenset(map(ImageRule, rules)),
        uncertain_band=table.number("uncertain_band", 0.1, least=0, most=1),
        share_of_rest=table.number("share_of_rest", 0.0, least=0, most=1),
        image_budget_bytes=table.integer("image_budget_mb", 1_000, least=0) * 1_000_000,
        most_verdicts=table.integer("most_verdicts", 1_000_000, least=1),
        retention=timedelta(days=days) if days else None,
    )
    table.finish()
    return records


def _share_band(table: ConfigTable) -> ShareBand | None:
    names = ("least_anomaly_share", "most_anomaly_share")
    is_set = [table.has(name) for name in names]
    low, high = (table.number(name, 0, least=0, most=1) for name in names)
    table.finish()
    if not any(is_set):
        return None
    if not is_set[1] or high < low:
        raise table.wrong(names[1], f"a share from {low:g} to 1")
    return ShareBand(low=low, high=high)


def _page(table: ConfigTable) -> PageConfig:
    page = PageConfig(
        host=table.host("host", "127.0.0.1"),
        port=table.integer("port", 8077, least=0, most=65_535),
        token=table.secret("token_env"),
    )
    table.finish()
    if page.token is None and not is_loopback_host(page.host):
        raise ConfigError(
            f"[page] host is {page.host}, which other machines can connect to: name the "
            "environment variable of a token by token_env, or take 127.0.0.1."
        )
    return page


def _sync(table: ConfigTable) -> SyncConfig:
    sync = SyncConfig(
        endpoint=table.optional_text("endpoint"),
        project=table.text("project"),
        model_version=table.text("model_version", "latest"),
        bucket=table.text("bucket"),
        prefix=table.text("prefix", f"station/{socket.gethostname()}/"),
        only_uncertain=table.choice("images", ["stored", "uncertain"], "stored") == "uncertain",
    )
    table.finish()
    if sync.prefix.startswith("/") or ".." in sync.prefix.split("/"):
        raise table.wrong("prefix", "how keys begin: without .., and not with /")
    return sync


def is_loopback_host(host: str) -> bool:
    """Return whether only this machine can connect to a host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(table: ConfigTable) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.wrong("name", "1 to 64 letters, digits, '_', '.' or '-'")
    return name


def _check_names(kind: str, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"Two [[{kind}]] have the name {repeated[0]!r}. Give them two names.")
