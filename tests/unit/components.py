"""Components for AWS IoT Greengrass, with only what a test is about spelled out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from blemish.domain.packaging import Component, TargetPlatform
from tests.unit.manifests import BUCKET

GPU = {"gpu-code": "sm_75", "trt-ver": "8.2.0", "cuda-ver": "11.2"}
CPU_PLATFORM = TargetPlatform(os="LINUX", arch="X86_64", accelerator=None)
GPU_PLATFORM = TargetPlatform(os="LINUX", arch="ARM64", accelerator="NVIDIA")

_COMPONENT = Component(
    name="circuits",
    version=None,
    description=None,
    tags=(),
    output_bucket=BUCKET,
    output_prefix=None,
    target_device="jetson_xavier",
    target_platform=None,
    compiler_options=None,
)


def component(**values: Any) -> Component:
    """Return a component for a device, or as changed by `values`."""
    return replace(_COMPONENT, **values)


def for_platform(platform: TargetPlatform, options: str | dict[str, Any] | None) -> Component:
    """Return a component for a platform; options that are no text are written as JSON."""
    text = json.dumps(options) if isinstance(options, dict) else options
    return component(target_device=None, target_platform=platform, compiler_options=text)
