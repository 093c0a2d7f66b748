"""The bill of materials of a release, as CycloneDX 1.6 in JSON.

Source: CycloneDX v1.6 JSON Reference; Package URL specification, type `pypi`.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from release.components import Component, Pin

PACKAGE = "blemish"

_NAMESPACE = uuid.UUID("4c8d1c3b-7a0f-5c60-9a5e-0c6c2b1f7a11")
"""Of the serial numbers: the same content has the same number."""


def bill_of_materials(
    components: Sequence[Component],
    pins: Mapping[str, Pin],
    *,
    direct: Sequence[str],
    version: str,
    made_at: datetime,
) -> str:
    """Return the bill of materials of one version of Blemish.

    Args:
        components: what the package needs, directly or not.
        direct: the names of those that it names itself.
        pins: of the lock file, whose hashes name the files that may be installed.
        version: of Blemish.
        made_at: the time of the release.
    """
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": made_at.isoformat().replace("+00:00", "Z"),
            "component": {
                "type": "application",
                "bom-ref": _reference(PACKAGE, version),
                "name": PACKAGE,
                "version": version,
                "purl": _reference(PACKAGE, version),
                "licenses": [{"expression": "Apache-2.0"}],
            },
            "properties": [{"name": "blemish:python", "value": platform.python_version()}],
        },
        "components": [_component(component, pins[component.name]) for component in components],
        "dependencies": _dependencies(components, direct, version=version),
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _component(component: Component, pin: Pin) -> dict[str, Any]:
    licence = component.licence
    return {
        "type": "library",
        "bom-ref": _reference(component.name, component.version),
        "name": component.name,
        "version": component.version,
        "description": component.summary,
        "purl": _reference(component.name, component.version),
        "licenses": [
            {"expression": licence} if component.is_spdx else {"license": {"name": licence}}
        ],
        "properties": [{"name": "blemish:sha256", "value": digest} for digest in pin.hashes],
    }


def _dependencies(
    components: Sequence[Component], direct: Sequence[str], *, version: str
) -> list[dict[str, Any]]:
    references = {
        component.name: _reference(component.name, component.version) for component in components
    }
    names = {references[component.name]: component.requires for component in components}
    return [
        {"ref": reference, "dependsOn": [references[name] for name in needs]}
        for reference, needs in {_reference(PACKAGE, version): direct, **names}.items()
    ]


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"
