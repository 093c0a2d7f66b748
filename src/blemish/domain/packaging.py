"""Model packaging jobs: what a job is, which components it can make, and which objects it writes.

    CREATED -> RUNNING -> SUCCEEDED | FAILED

Source: Amazon Lookout for Vision, "Packaging your model" of the developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from blemish.domain.entities import Tag
from blemish.domain.errors import ValidationError

NVIDIA = "NVIDIA"
GPU_OPTIONS = ("gpu-code", "trt-ver", "cuda-ver")
"""Options of the compiler for a graphics processor, which needs each of them."""

CPU_OPTIONS = ("mcpu", "mattr")
"""Options of the compiler for a processor, which needs none."""


class PackagingJobStatus(StrEnum):
    """The status of a model packaging job."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


IN_PROGRESS = frozenset({PackagingJobStatus.CREATED, PackagingJobStatus.RUNNING})
"""The job waits or runs."""


@dataclass(frozen=True, kw_only=True)
class TargetPlatform:
    """The kind of device that a component runs on."""

    os: str
    arch: str
    accelerator: str | None


@dataclass(frozen=True, kw_only=True)
class Component:
    """The component of AWS IoT Greengrass that a job makes, and where the job writes it."""

    name: str
    #: None: the version of the model, with `.0.0`
    version: str | None
    description: str | None
    tags: tuple[Tag, ...]
    output_bucket: str
    output_prefix: str | None
    target_device: str | None
    target_platform: TargetPlatform | None
    #: a JSON object, as it came
    compiler_options: str | None

    @property
    def file_name(self) -> str:
        """`NAME-VERSION.zip`, the file with the model."""
        return f"{self.name}-{self.version}.zip"


@dataclass(frozen=True, kw_only=True)
class ComponentKeys:
    """The keys of the objects that a job writes."""

    archive: str
    recipe: str
    agent_recipe: str


@dataclass(frozen=True, kw_only=True)
class PackagingJob:
    """A request for a component. The row outlives the model and is deleted with the project."""

    id: int
    project: str
    name: str
    model_version: int
    description: str | None
    component: Component
    status: PackagingJobStatus
    status_message: str
    created_at: datetime
    updated_at: datetime
    attempt: int
    #: attempts that did not end by themselves; orderly stops of the server do not count
    interruptions: int = 0
    #: when the next attempt may begin; None for at once
    not_before: datetime | None = None


def component_folder(prefix: str | None, name: str, version: str) -> str:
    """Return the key of a component's folder; the prefix gets its slash if it has none."""
    prefix = prefix or ""
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return f"{prefix}{name}/{version}"


def component_keys(component: Component) -> ComponentKeys:
    """Return the keys that a job writes; the component has its version."""
    assert component.version is not None
    folder = component_folder(component.output_prefix, component.name, component.version)
    return ComponentKeys(
        archive=f"{folder}/{component.file_name}",
        recipe=f"{folder}/recipe.yaml",
        agent_recipe=f"{folder}/recipe-agent.yaml",
    )


def check_component(component: Component) -> None:
    """Check that the target and the options of a component fit together.

    Raises:
        ValidationError: they do not.
    """
    platform, options = component.target_platform, component.compiler_options
    if (component.target_device is None) == (platform is None):
        raise ValidationError(
            "Configuration.Greengrass must name TargetDevice or TargetPlatform, and not both; "
            f"it names {'neither' if platform is None else 'both'}."
        )
    if platform is None:
        if options is not None:
            raise ValidationError(
                "CompilerOptions goes with TargetPlatform, not with TargetDevice."
            )
        return
    if platform.accelerator == NVIDIA:
        _check_options(options, needed=GPU_OPTIONS)
    elif options is not None:
        _check_options(options, allowed=CPU_OPTIONS)


def _check_options(
    text: str | None, *, needed: tuple[str, ...] = (), allowed: tuple[str, ...] = ()
) -> None:
    demand = "needs " + ", ".join(needed) if needed else "may have " + ", ".join(allowed)
    demand = f"For this TargetPlatform CompilerOptions is a JSON object that {demand}."
    options = {} if text is None else _parsed(text)
    if options is None:
        raise ValidationError(f"CompilerOptions is no JSON object. {demand}")
    if missing := [name for name in needed if name not in options]:
        raise ValidationError(f"CompilerOptions lacks {', '.join(missing)}. {demand}")
    if unknown := [name for name in options if name not in needed + allowed]:
        raise ValidationError(f"CompilerOptions has {', '.join(unknown)}. {demand}")
    for name, value in options.items():
        texts = value if name == "mattr" and isinstance(value, list) else [value]
        if not all(isinstance(option, str) and option for option in texts):
            raise ValidationError(f"In CompilerOptions {name} must be a text, and not empty.")


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
