from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from blemish.api.service_model import service_model
from blemish.cli.main import app
from blemish.domain import errors as service_errors
from blemish.domain.entities import DatasetStatus, ModelStatus
from blemish.domain.limits import MIB, ORIGINAL, OURS, Quota
from blemish.domain.manifest import parse_line
from blemish.settings import Settings
from blemish.wire.errors import WireError

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

DEPENDS_ON_OTHERS = {
    "console_port": "the next port",
    "training_threads": "number of cores",
    "detection_threads": "number of cores",
    "concurrent_trainings": "the limit, or half the cores",
    "detect_body_bytes": "the limit",
    "image_max_side": "the limit",
    "inference_units": "the limit",
}


def page(name: str) -> str:
    return (GUIDE / name).read_text()


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without its head."""
    _, _, after = text.partition(f"| {heading} |")
    lines = after.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def names_of(cell: str) -> list[str]:
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_every_setting_is_described_with_its_default() -> None:
    table = [line.split("|") for line in page("serve.md").splitlines() if "| `BLEMISH_" in line]
    told = {names_of(row[1])[0]: row[3].strip().strip("`") for row in table}

    def default(name: str, value: object) -> str:
        if name in DEPENDS_ON_OTHERS:
            return DEPENDS_ON_OTHERS[name]
        if isinstance(value, tuple):
            return ",".join(value)
        return str(value).lower() if value in {False, None} else str(value)

    assert told == {
        f"BLEMISH_{name.upper()}": default(name, field.default)
        for name, field in Settings.model_fields.items()
    }


def test_every_variable_of_several_servers_is_in_a_table() -> None:
    exports = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", "\n".join(fenced(page("cluster.md"), "sh"))))
    table = rows(page("serve.md"), "setting") + rows(page("serve.md"), "variable")

    assert "FORWARDED_ALLOW_IPS" in exports
    assert exports - {name for row in table for name in names_of(row[0])} == set()


def commands(command: Any, name: str = "blemish") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its full name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
    else:
        for part, found in below.items():
            yield from commands(found, f"{name} {part}")


@pytest.mark.parametrize(
    ("name", "command"),
    [pytest.param(*found, id=found[0]) for found in commands(typer.main.get_command(app))],
)
def test_every_command_is_described_with_its_options(name: str, command: Any) -> None:
    texts = [
        text for text in map(Path.read_text, PAGES) if f"{name}`" in text or f"{name} " in text
    ]

    assert texts
    options = [option for parameter in command.params for option in parameter.opts]
    told = "\n".join(texts)
    assert [option for option in options if option.startswith("--") and option not in told] == []


@pytest.mark.parametrize("name", service_model().operation_names)
def test_every_operation_is_described(name: str) -> None:
    guide = "\n".join(path.read_text() for path in GUIDE.glob("*.md") if path.name != "errors.md")

    assert re.search(rf"\b{name}\b", guide)


def test_every_error_is_described_with_its_status() -> None:
    shapes = service_model()
    declared = {
        found.shape: shapes.shape_for(found.shape).metadata["error"]["httpStatusCode"]
        for found in vars(service_errors).values()
        if isinstance(found, type) and hasattr(found, "shape")
    }
    common = {found.code: found.status for found in WireError.__subclasses__()}

    told = {row[0]: int(row[1]) for row in rows(page("errors.md"), "error")}

    assert told == declared | common


@pytest.mark.parametrize(
    ("name", "statuses"), [("models.md", ModelStatus), ("data-sets.md", DatasetStatus)]
)
def test_every_status_is_described(name: str, statuses: type[ModelStatus | DatasetStatus]) -> None:
    told = [status for row in rows(page(name), "status") for status in names_of(row[0])]

    assert sorted(told) == sorted(statuses)


def test_every_limit_is_described_in_both_profiles() -> None:
    def shown(name: str, value: int | None) -> str:
        if value is None:
            return "none"
        if name == "detect_body_bytes":
            return f"{value // MIB} MiB"
        return "1 GB" if value == 10**9 else f"{value:,}"

    table = rows(page("data-sets.md"), "limit")

    names = [field.name for field in fields(OURS)]
    assert [row[1:] for row in table] == [
        [shown(name, getattr(OURS, name)), shown(name, getattr(ORIGINAL, name))] for name in names
    ]


def test_every_quota_is_described_with_its_code() -> None:
    table = rows(page("data-sets.md"), "quota")

    told = {row[0]: names_of(row[1]) for row in table}

    assert told == {str(quota): [service_errors.quota_code(quota)] for quota in Quota}


def test_manifest_lines_in_the_guide_are_good_ones() -> None:
    lines = [line.strip() for line in fenced(page("data-sets.md"), "json")]

    entries = [parse_line(line) for line in lines]

    assert [(entry.label, entry.mask is not None) for entry in entries] == [
        ("normal", False),
        ("anomaly", True),
    ]
    assert all(json.loads(line) for line in lines)


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)

    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        assert not anchor or anchor in anchors(found.read_text()), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_is_told_to_make_what_it_can(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)

    told = re.findall(r"(?:`|^)make(?: [A-Z]+=\S+)* ([a-z-]+)", path.read_text(), re.MULTILINE)

    assert set(told) <= set(targets)


def test_every_page_and_decision_is_listed() -> None:
    readme, decisions = (ROOT / "README.md").read_text(), ROOT / "docs" / "adr"

    assert [found.name for found in GUIDE.glob("*.md") if found.name not in readme] == []
    listed = set(re.findall(r"\((\d{4}-\S+\.md)\)", (decisions / "README.md").read_text()))
    assert listed == {found.name for found in decisions.glob("0*.md")}
