"""Model packaging jobs: what one is, and which components it can be asked for.

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
    """Where a model packaging job stands."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class TargetPlatform:
    """The kind of device that a component is for."""

    os: str
    arch: str
    accelerator: str | None


@dataclass(frozen=True, kw_only=True)
class Component:
    """What to make of a model: a component for AWS IoT Greengrass, and where it is written."""

    name: str
    #: None: that of the model, with `.0.0`
    version: str | None
    description: str | None
    tags: tuple[Tag, ...]
    output_bucket: str
    output_prefix: str | None
    target_device: str | None
    target_platform: TargetPlatform | None
    #: a JSON object, as it came
    compiler_options: str | None


@dataclass(frozen=True, kw_only=True)
class PackagingJob:
    """One request for a component. It outlives its model, and goes with its project."""

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


def check_component(component: Component) -> None:
    """Allow a component whose target and options fit together.

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
        if not all(isinstance(each, str) and each for each in texts):
            raise ValidationError(f"In CompilerOptions {name} must be a text, and not empty.")


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
