from __future__ import annotations

from pathlib import Path

import pytest

from blemish.line.config import LineConfig, check_line_config
from blemish.station.errors import ConfigError

FOLDER = Path("/srv/blemish/lines/first")
SETTINGS = """
[model]
project = "plates"
version = "1"

[line]
shifts = ["22:00", "06:00"]
time_zone = "Europe/Berlin"

[[source]]
type = "browser"
name = "tablet"
when_busy = "newest-wins"
"""


def config_of(settings: str) -> LineConfig:
    return check_line_config(settings, directory=FOLDER)


def test_a_line_has_a_model_of_the_server_and_the_tables_of_a_station() -> None:
    config = config_of(SETTINGS)

    assert (config.project, config.version) == ("plates", "1")
    assert [shift.hour for shift in config.shifts] == [6, 22]
    assert config.station.directory == FOLDER
    assert config.browser_sources() == ("tablet",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("model = 1", r"model must be a table"),
        ("[model]\nproject = 'plates'", r"lacks the setting 'version'"),
        (SETTINGS + "[page]", r"no setting 'page'. The page of a line is in the console"),
        (SETTINGS.replace("06:00", "6 o'clock"), r"list of times of the day"),
        (SETTINGS.replace("Europe/Berlin", "Mars"), r"the name of a time zone"),
        (SETTINGS.replace("browser", "lake"), r"type 'lake'; there are browser, camera"),
        ("[model", r"are no TOML"),
    ],
)
def test_a_wrong_setting_is_named(settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(settings)


def test_a_line_cannot_send_secrets_of_the_server_away(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = '[[sink]]\ntype = "webhook"\nname = "mes"\nurl = "http://mes"\ntoken_env = "{name}"\n'
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LINE_MES", "token")

    assert config_of(SETTINGS + sink.format(name="LINE_MES")).station.sinks[0].name == "mes"
    with pytest.raises(ConfigError, match=r"whose names begin with LINE_"):
        config_of(SETTINGS + sink.format(name="AWS_SECRET_ACCESS_KEY"))
