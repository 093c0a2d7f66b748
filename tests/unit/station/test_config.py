from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from blemish.station.config import (
    ImageRule,
    StationConfig,
    WhenBusy,
    WhenFull,
    parse_station_config,
    read_station_config,
)
from blemish.station.config_table import ConfigTable
from blemish.station.drift.shares import ShareBand
from blemish.station.errors import ConfigError
from blemish.station.sinks.registry import build_sink
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

LEAST = """
[[source]]
type = "folder"
name = "line-1"
when_busy = "never-drop"
path = "/srv/images"
[model]
component = "plates"
"""

SYNC = "[sync]\nproject = 'plates'\nbucket = 'factory'\n"
SOURCE, _, _ = LEAST.partition("[model]")

WHOLE = f"""
directory = "/srv/station"
{LEAST}
components = "/srv/components"
[[sink]]
type = "csv"
name = "table"
queue_limit = 10
when_full = "drop-oldest"
[records]
images = ["all"]
share_of_rest = 0.5
image_budget_mb = 5
[page]
host = "0.0.0.0"
token_env = "PAGE_TOKEN"
"""


def parsed(text: str, **environment: str) -> StationConfig:
    return parse_station_config(tomllib.loads(text), environment=environment)


def test_a_file_with_everything_is_read() -> None:
    config = parsed(WHOLE, PAGE_TOKEN="secret")

    assert config.directory == Path("/srv/station")
    (source,) = config.sources
    assert (source.type, source.name, source.when_busy) == (
        "folder",
        "line-1",
        WhenBusy.NEVER_DROP,
    )
    assert (config.model.component, config.model.components) == ("plates", Path("/srv/components"))
    (sink,) = config.sinks
    assert (sink.queue_limit, sink.when_full) == (10, WhenFull.DROP_OLDEST)
    assert config.records.images == {ImageRule.ALL}
    assert config.records.image_budget_bytes == 5_000_000
    assert config.page is not None
    assert config.page.token is not None
    assert config.page.token.reveal() == "secret"


def test_a_secret_is_in_no_text_of_the_configuration() -> None:
    config = parsed(WHOLE, PAGE_TOKEN="hush-hush")

    assert "hush-hush" not in repr(config)


def test_a_page_is_there_only_if_it_is_configured() -> None:
    assert parsed(LEAST).page is None
    page = parsed(LEAST + "[page]").page
    assert page is not None
    assert (page.host, page.port, page.token) == ("127.0.0.1", 8077, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\ncomponent = 'a'", "has no [[source]]"),
        (LEAST + "colour = 1", "[model] has the setting 'colour', which does not exist; there are"),
        ("color = 1\n" + LEAST, "The file has the setting 'color'"),
        (LEAST.replace("never-drop", "wait"), "one of never-drop, newest-wins"),
        (LEAST.replace('when_busy = "never-drop"', ""), "lacks the setting 'when_busy'"),
        (LEAST.replace("line-1", "line 1"), "[[source]] line 1 has name = 'line 1'"),
        (LEAST + SOURCE, "Two [[source]] have the name 'line-1'"),
        (LEAST + "[[sink]]\nname = 'a'", "[[sink]] a lacks the setting 'type'"),
        (LEAST + "[[sink]]\nname = 'a'\ntype = 'csv'\nqueue_limit = 0", "of at least 1"),
        (LEAST + "[records]\nimages = ['some']", "'some'; there are all, anomalies"),
        (LEAST + "[records]\nshare_of_rest = 2", "a number from 0 to 1"),
        (LEAST + "[records]\nretention_days = -1", "a whole number from 0 to 36500"),
        (LEAST + "[page]\nhost = '0.0.0.0'", "by token_env"),
        (LEAST + SYNC + "prefix = '/line-1/'", "how keys begin"),
        (LEAST + SYNC + "prefix = 'a/../b/'", "how keys begin"),
        (LEAST + "[page]\nhost = 'a..b'", "the name or the address of a host"),
        (LEAST + "[page]\nhost = 'http://a'", "the name or the address of a host"),
        (LEAST + "[page]\ntoken_env = 'NONE'", "variable NONE, which is not set"),
        (LEAST + "[page]\nport = true", "[page] has port = True; it must be a whole number"),
        ("source = 1\n" + SOURCE.replace("[[source]]", "[x]"), "list of tables"),
        ("model = 1\n" + SOURCE, "model must be a table"),
        (LEAST + "components = 'here'", "an absolute path"),
        (LEAST + 'components = "/srv/\\u0000"', "an absolute path"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed(text)

    assert message in str(raised.value)


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("a = ", "is no TOML")])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "station.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError, match=message):
        read_station_config(file)


class Paper:
    """A sink that has one setting."""

    def __init__(self, name: str, table: ConfigTable) -> None:
        self.name = name
        self.color = table.text("color", "white")

    def deliver(self, verdict: Verdict) -> None: ...

    def close(self) -> None: ...


def build(settings: str) -> Sink:
    config = parsed(LEAST + "[[sink]]\nname = 'note'\n" + settings)
    return build_sink(config.sinks[0], {"paper": Paper})


def test_a_sink_reads_the_settings_of_its_type() -> None:
    sink = build("type = 'paper'\ncolor = 'red'")

    assert isinstance(sink, Paper)
    assert (sink.name, sink.color) == ("note", "red")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("type = 'stone'", "has the type 'stone'; there are paper"),
        ("type = 'paper'\nsize = 4", "the setting 'size', which does not exist; there are color,"),
    ],
)
def test_a_sink_refuses_settings_that_its_type_lacks(settings: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(settings)

    assert message in str(raised.value)


def test_the_band_of_anomalies_is_read() -> None:
    config = parsed(LEAST + "[drift]\nleast_anomaly_share = 0.01\nmost_anomaly_share = 0.05\n")

    assert config.records.share_band == ShareBand(low=0.01, high=0.05)
    assert parsed(LEAST).records.share_band is None


@pytest.mark.parametrize("text", ["least_anomaly_share = 0.2", "most_anomaly_share = 7"])
def test_a_band_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\[drift\].*most_anomaly_share"):
        parsed(f"{LEAST}[drift]\n{text}\n")
