from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from release.components import Component, ReleaseError, read_pins, runtime_components, runtime_lock
from release.licences import third_party_licences
from release.sbom import bill_of_materials

ROOT = Path(__file__).parents[3]
MADE_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def components() -> list[Component]:
    return runtime_components(requirements(), read_pins(ROOT / "requirements.lock"))


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def bill(components: list[Component], *, version: str = "9") -> dict[str, Any]:
    pins = read_pins(ROOT / "requirements.lock")
    text = bill_of_materials(components, pins, direct=["numpy"], version=version, made_at=MADE_AT)
    document: dict[str, Any] = json.loads(text)
    return document


def test_pins_of_another_python_or_machine_do_not_count(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(
        f"one==1 ; python_full_version < '3' \\\n    --hash=sha256:{'a' * 64}\n    # via two\n"
        f"one==2 ; python_full_version >= '3' \\\n    --hash=sha256:{'b' * 64} \\\n"
        f"    --hash=sha256:{'c' * 64}\nTwo_Three==4\n"
    )

    pins = read_pins(lock)

    assert {name: pin.version for name, pin in pins.items()} == {"one": "2", "two-three": "4"}
    assert pins["one"].hashes == ("b" * 64, "c" * 64)


def test_what_is_needed_indirectly_is_a_component(components: list[Component]) -> None:
    names = {component.name for component in components}

    assert {"numpy", "jmespath"} <= names
    assert not {"blemish", "pytest"} & names


def test_the_locked_requirements_are_those_of_the_components(components: list[Component]) -> None:
    text = runtime_lock(ROOT / "requirements.lock", components)

    assert {line.partition("==")[0] for line in text.splitlines() if line[0].isalpha()} == {
        component.name for component in components
    }
    assert text.count("\nnumpy==") == 2  # for older and newer Pythons
    assert text.count("--hash=sha256:") > len(components)


def test_a_version_that_is_not_locked_is_refused() -> None:
    pins = read_pins(ROOT / "requirements.lock")

    with pytest.raises(
        ReleaseError, match=r"numpy .* is installed, and requirements.lock has none"
    ):
        runtime_components(["numpy>=1"], {name: pins[name] for name in pins if name != "numpy"})


def test_every_reference_of_the_bill_is_a_component(components: list[Component]) -> None:
    document = bill(components)

    references = {entry["bom-ref"] for entry in document["components"]}
    references.add(document["metadata"]["component"]["bom-ref"])
    assert {entry["ref"] for entry in document["dependencies"]} == references
    assert {to for entry in document["dependencies"] for to in entry["dependsOn"]} <= references
    assert document["dependencies"][0]["dependsOn"][0].startswith("pkg:pypi/numpy@")


def test_the_same_release_has_the_same_bill(components: list[Component]) -> None:
    assert bill(components) == bill(components)
    assert bill(components)["serialNumber"] != bill(components, version="10")["serialNumber"]


def test_the_licences_of_all_components_are_repeated(components: list[Component]) -> None:
    text = third_party_licences(components)

    assert all(f"\n{one.name} {one.version}: {one.licence}\n" in text for one in components)
    assert "Permission is hereby granted" in text
