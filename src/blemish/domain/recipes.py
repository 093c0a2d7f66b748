"""Recipes of AWS IoT Greengrass for a model component, and for the edge agent that runs it.

Source: AWS IoT Greengrass V2, "Component recipe reference", format 2020-01-25; Amazon Lookout for
Vision, "Lookout for Vision Edge Agent" of the developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from blemish.domain.packaging import Component

AGENT = "aws.iot.lookoutvision.EdgeAgent"
"""The name of the original's agent, which other components depend on and clients look for."""

AGENT_VERSION = "1.3.0"
"""The version after the last ones of the original, 1.2.x."""

SOCKET = "unix:/tmp/aws.iot.lookoutvision.EdgeAgent.sock"

_ARCHITECTURES = {"X86_64": "amd64", "ARM64": "aarch64"}
_HEAD = {
    "RecipeFormatVersion": "2020-01-25",
    "ComponentType": "aws.greengrass.generic",
    "ComponentPublisher": "Blemish",
}
_INSTALL_MODEL = """\
"{command}" edge install --components "{components}" --autostart "{{configuration:/Autostart}}" \
"{{artifacts:path}}/{file}"
"""
_REMOVE_MODEL = '"{command}" edge remove --components "{components}" "{name}"\n'
_INSTALL_AGENT = """\
set -eu
test -x "{configuration:/Home}/bin/blemish" || python3 -m venv "{configuration:/Home}"
"{configuration:/Home}/bin/python" -m pip install {configuration:/PipArguments}
mkdir -p "{configuration:/Components}"
chown ggc_user:ggc_group "{configuration:/Components}"
"""
_RUN_AGENT = """\
exec "{configuration:/Home}/bin/blemish" edge agent --socket "{configuration:/Socket}" \
--components "{configuration:/Components}"
"""


def component_recipe(component: Component, *, archive: str, digest: str) -> str:
    """Return the recipe of a model component.

    Args:
        component: with its version.
        archive: address of the zip, `s3://bucket/key`.
        digest: SHA-256 of the zip, in base64.
    """
    command = f"{{{AGENT}:configuration:/Home}}/bin/blemish"
    components = f"{{{AGENT}:configuration:/Components}}"
    install = _INSTALL_MODEL.format(
        command=command, components=components, file=component.file_name
    )
    remove = _REMOVE_MODEL.format(command=command, components=components, name=component.name)
    description = component.description or "A model that finds anomalies in images."
    return _yaml(
        {
            **_HEAD,
            "ComponentName": component.name,
            "ComponentVersion": component.version,
            "ComponentDescription": description,
            "ComponentConfiguration": {"DefaultConfiguration": {"Autostart": False}},
            "ComponentDependencies": {
                AGENT: {"VersionRequirement": ">=1.0.0 <2.0.0", "DependencyType": "HARD"}
            },
            "Manifests": [
                {
                    "Platform": _platform(component),
                    "Lifecycle": {
                        "Install": {"Script": install, "Timeout": 300},
                        "Uninstall": {"Script": remove},
                    },
                    "Artifacts": [
                        {
                            "URI": archive,
                            "Unarchive": "ZIP",
                            "Permission": {"Read": "ALL", "Execute": "ALL"},
                            "Digest": digest,
                            "Algorithm": "SHA-256",
                        }
                    ],
                }
            ],
        }
    )


def agent_recipe() -> str:
    """Return the recipe of the edge agent, which pip installs on the device."""
    return _yaml(
        {
            **_HEAD,
            "ComponentName": AGENT,
            "ComponentVersion": AGENT_VERSION,
            "ComponentDescription": "Blemish's edge agent: runs models behind a gRPC interface.",
            "ComponentConfiguration": {
                "DefaultConfiguration": {
                    "Socket": SOCKET,
                    "Home": "/opt/blemish-edge",
                    "Components": "/opt/blemish-edge/components",
                    "PipArguments": "blemish-edge",
                }
            },
            "Manifests": [
                {
                    "Platform": {"os": "linux"},
                    "Lifecycle": {
                        "Install": {
                            "RequiresPrivilege": True,
                            "Script": _INSTALL_AGENT,
                            "Timeout": 900,
                        },
                        "Run": {"Script": _RUN_AGENT},
                    },
                }
            ],
        }
    )


def _platform(component: Component) -> dict[str, str]:
    platform = component.target_platform
    architecture = _ARCHITECTURES[platform.arch] if platform else "aarch64"
    return {"os": "linux", "architecture": architecture}


def _yaml(document: Mapping[str, Any]) -> str:
    return "\n".join(_lines(document)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    """Yield the lines of a value in block style; scalars are written as JSON, which YAML reads."""
    match value:
        case Mapping():
            for key, member in value.items():
                yield from _entry(f"{key}:", member)
        case list():
            for item in value:
                first, *rest = _lines(item)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)
        case _:
            yield json.dumps(value, ensure_ascii=False)


def _entry(head: str, member: Any) -> Iterator[str]:
    if isinstance(member, str) and "\n" in member:
        yield f"{head} |-"
        yield from (f"  {line}" for line in member.splitlines())
    elif isinstance(member, Mapping | Sequence) and not isinstance(member, str):
        yield head
        yield from (f"  {line}" for line in _lines(member))
    else:
        yield f"{head} {json.dumps(member, ensure_ascii=False)}"
