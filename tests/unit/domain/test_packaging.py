from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from blemish.domain.errors import ValidationError
from blemish.domain.packaging import PackagingJobStatus, check_component
from tests.unit.components import CPU_PLATFORM, GPU, GPU_PLATFORM, component, for_platform

FOR_GPU = (
    "For this TargetPlatform CompilerOptions is a JSON object that needs gpu-code, trt-ver, "
    "cuda-ver."
)
FOR_CPU = "For this TargetPlatform CompilerOptions is a JSON object that may have mcpu, mattr."


def test_the_statuses_are_those_of_the_model() -> None:
    model = json.loads((files("blemish.api") / "service-2.json").read_text())

    assert list(PackagingJobStatus) == model["shapes"]["ModelPackagingJobStatus"]["enum"]


def test_a_device_needs_no_options() -> None:
    check_component(component())


@pytest.mark.parametrize(
    "options",
    [
        None,
        {},
        {"mcpu": "core-avx2"},
        {"mattr": "+neon"},
        {"mcpu": "cortex-a72", "mattr": ["+neon", "+vfpv4"]},
    ],
)
def test_a_processor_may_have_options(options: dict[str, Any] | None) -> None:
    check_component(for_platform(CPU_PLATFORM, options))


def test_a_graphics_processor_has_all_of_its_options() -> None:
    check_component(for_platform(GPU_PLATFORM, GPU))


@pytest.mark.parametrize(
    ("values", "names"),
    [({"target_device": None}, "neither"), ({"target_platform": CPU_PLATFORM}, "both")],
)
def test_there_is_one_target(values: dict[str, Any], names: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_component(component(**values))

    assert caught.value.message == (
        "Configuration.Greengrass must name TargetDevice or TargetPlatform, and not both; "
        f"it names {names}."
    )


def test_a_device_takes_no_options() -> None:
    with pytest.raises(ValidationError) as caught:
        check_component(component(compiler_options="{}"))

    assert (
        caught.value.message == "CompilerOptions goes with TargetPlatform, not with TargetDevice."
    )


@pytest.mark.parametrize("missing", GPU)
def test_a_graphics_processor_needs_each_of_its_options(missing: str) -> None:
    options = {name: value for name, value in GPU.items() if name != missing}

    with pytest.raises(ValidationError) as caught:
        check_component(for_platform(GPU_PLATFORM, options))

    assert caught.value.message == f"CompilerOptions lacks {missing}. {FOR_GPU}"


@pytest.mark.parametrize("options", [None, "{}"])
def test_a_graphics_processor_needs_options(options: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        check_component(for_platform(GPU_PLATFORM, options))

    assert caught.value.message == f"CompilerOptions lacks gpu-code, trt-ver, cuda-ver. {FOR_GPU}"


@pytest.mark.parametrize("text", ["gpu-code", "[]", "null", '{"mcpu":', "[" * 1024, '"mcpu"', "12"])
def test_options_are_a_json_object(text: str) -> None:
    for platform, demand in ((CPU_PLATFORM, FOR_CPU), (GPU_PLATFORM, FOR_GPU)):
        with pytest.raises(ValidationError) as caught:
            check_component(for_platform(platform, text))
        assert caught.value.message == f"CompilerOptions is no JSON object. {demand}"


def test_options_of_another_kind_of_processor_are_refused() -> None:
    with pytest.raises(ValidationError) as of_gpu:
        check_component(for_platform(CPU_PLATFORM, GPU))
    with pytest.raises(ValidationError) as of_cpu:
        check_component(for_platform(GPU_PLATFORM, GPU | {"mcpu": "core-avx2"}))

    assert of_gpu.value.message == f"CompilerOptions has gpu-code, trt-ver, cuda-ver. {FOR_CPU}"
    assert of_cpu.value.message == f"CompilerOptions has mcpu. {FOR_GPU}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("mcpu", ""), ("mcpu", 2), ("mcpu", ["core-avx2"]), ("mattr", [1]), ("mattr", [""])],
)
def test_an_option_is_a_text(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        check_component(for_platform(CPU_PLATFORM, {name: value}))

    assert caught.value.message == f"In CompilerOptions {name} must be a text, and not empty."
