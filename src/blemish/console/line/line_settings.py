"""The form of a new line: it writes the settings as TOML, which people may change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nicegui import ui

from blemish.console.language.messages import later, say, say_all
from blemish.console.projects.projects_page import project_names
from blemish.console.ui.frame import heading, text
from blemish.console.visitor import Visitor
from blemish.domain.lifecycle import MODEL_WITH_BUNDLE

Values = Mapping[str, object]

SOURCES: Mapping[str, tuple[str, Values]] = {
    "folder": (later("Folder that is watched"), {"path": "/srv/images"}),
    "camera": (
        later("Camera (USB or RTSP)"),
        {
            "address": "rtsp://192.168.10.30/stream1",
            "trigger": {"type": "interval", "interval_s": 1.0},
        },
    ),
    "mqtt": (later("Images by MQTT"), {"host": "broker.example", "topic": "line-1/images"}),
    "http": (later("Images by HTTP"), {"host": "127.0.0.1", "port": 8078}),
    "browser": (later("Camera of a browser"), {}),
}
SINKS: Mapping[str, tuple[str, Values]] = {
    "mqtt": ("MQTT", {"host": "broker.example", "topic": "line-1/verdicts"}),
    "webhook": ("Webhook", {"url": "https://mes.example/verdicts"}),
    "folders": (later("Folders ok and not-ok"), {"directory": "/srv/verdicts"}),
    "json-lines": (later("File of JSON Lines"), {"path": "/srv/verdicts.jsonl"}),
    "modbus": ("Modbus", {"host": "192.168.10.20", "coil": 16, "pulse_ms": 200}),
}
RULES = {
    "anomalies": later("Anomalies"),
    "uncertain": later("Uncertain ones, near the threshold"),
    "all": later("All"),
}


@dataclass(kw_only=True)
class LineChoice:
    """What a person selected for a new line."""

    project: str = ""
    version: str = ""
    source: str = "folder"
    never_drop: bool = True
    sinks: Sequence[str] = ()
    images: Sequence[str] = ("anomalies", "uncertain")
    share_of_rest: float = 0.0
    source_values: dict[str, object] = field(default_factory=dict)

    def toml(self) -> str:
        """Return the settings of the line."""
        source = {
            "type": self.source,
            "name": "source",
            "when_busy": "never-drop" if self.never_drop else "newest-wins",
            **SOURCES[self.source][1],
        }
        tables = [
            _table("[model]", {"project": self.project, "version": self.version}),
            _table("[[source]]", source, below="source"),
            *(
                _table("[[sink]]", {"type": name, "name": name, **SINKS[name][1]}, below="sink")
                for name in self.sinks
            ),
            _table("[records]", {"images": list(self.images), "share_of_rest": self.share_of_rest}),
        ]
        return "\n".join(tables)


class LineForm:
    """The form; `name` and `settings` are what stands in it."""

    def __init__(self) -> None:
        self._choice = LineChoice()
        self._models: dict[str, list[str]] = {}

    @property
    def name(self) -> str:
        """The name of the line."""
        return (self._name.value or "").strip()

    @property
    def settings(self) -> str:
        """The settings as TOML."""
        return self._area.value or ""

    async def draw(self, looking: Visitor) -> None:
        """Draw the form."""
        self._models = await _models(looking)
        models = [
            f"{name} {version}" for name, all_of in self._models.items() for version in all_of
        ]
        with ui.element("section").classes("panel stack"):
            self._name = ui.input(say("Name")).props("autofocus maxlength=63")
            self._name.props["hint"] = say("Letters, digits, underscores and hyphens")
            ui.select(
                models, label=say("Model"), on_change=lambda event: self._set_model(event.value)
            )
            ui.select(
                {kind: say(title) for kind, (title, _) in SOURCES.items()},
                value=self._choice.source,
                label=say("Images come from"),
                on_change=lambda event: self._set("source", event.value),
            )
            ui.select(
                {kind: say(title) for kind, (title, _) in SINKS.items()},
                multiple=True,
                label=say("Verdicts go to"),
                on_change=lambda event: self._set("sinks", tuple(event.value or ())),
            )
            ui.select(
                say_all(RULES),
                multiple=True,
                value=list(self._choice.images),
                label=say("Images that are stored"),
                on_change=lambda event: self._set("images", tuple(event.value or ("none",))),
            )
        with ui.element("section").classes("panel"):
            heading(say("All settings"), 2)
            text(
                say("Fill in the addresses. Further settings are in the guide, At the line."),
                classes="quiet",
                tag="p",
            )
            self._area = ui.textarea(say("Settings (TOML)"), value=self._choice.toml())
            self._area.props("autogrow spellcheck=false").classes("line-settings")

    def _set_model(self, words: str) -> None:
        self._choice.project, _, self._choice.version = words.rpartition(" ")
        self._area.value = self._choice.toml()

    def _set(self, name: str, value: object) -> None:
        setattr(self._choice, name, value)
        self._area.value = self._choice.toml()


async def _models(looking: Visitor) -> dict[str, list[str]]:
    """Return the versions of each project that can run, the newest first."""
    models = {}
    for name in await project_names(looking):
        answer = await looking.call("ListModels", ProjectName=name, MaxResults=100)
        versions = [
            str(model["ModelVersion"])
            for model in answer["Models"]
            if model["Status"] in MODEL_WITH_BUNDLE
        ]
        if versions:
            models[name] = versions
    return models


def _table(title: str, values: Values, *, below: str = "") -> str:
    """Return a table of TOML; a table among the values follows it."""
    lines = [title]
    tables = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            tables.append(_table(f"\n[{below}.{key}]", value))
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join([*lines, *tables]) + "\n"
