"""ONNX Runtime sessions: every graph runs with the same settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _errors

from blemish.engine.graph.providers import ON_CPU, PROVIDERS

_LOG_FATAL = 4  # errors are raised; the log would repeat them


class ProviderError(Exception):
    """A provider is not installed, or does not start; the message names it."""


SESSION_ERRORS: tuple[type[Exception], ...] = (
    _errors.EPFail,
    _errors.Fail,
    _errors.InvalidArgument,
    _errors.InvalidGraph,
    _errors.InvalidProtobuf,
    _errors.NotImplemented,
    _errors.RuntimeException,
)
"""Errors of ONNX Runtime for a graph that it cannot load or run; they share no base class."""


def installed_providers() -> list[str]:
    """Return the providers of `PROVIDERS` that the installed ONNX Runtime has."""
    available = ort.get_available_providers()
    return [name for name, of_runtime in PROVIDERS.items() if of_runtime in available]


def check_providers(names: Sequence[str]) -> None:
    """Check that the installed ONNX Runtime has these providers, without starting them.

    Raises:
        ProviderError: some are missing; the message names these and the installed ones.
    """
    available = installed_providers()
    if missing := [name for name in names if name not in available]:
        raise ProviderError(
            f"the installed ONNX Runtime has no {' and no '.join(missing)}; it has "
            f"{' and '.join(available)}"
        )


def open_session(
    model: bytes,
    *,
    threads: int,
    providers: Sequence[str] = ON_CPU,
    engine_cache: Path | None = None,
    shared_arena: bool = False,
) -> ort.InferenceSession:
    """Load a serialised graph.

    Its threads sleep between operators instead of spinning: a training in the background and
    hosted models share the cores.

    Args:
        model: a serialised ONNX model.
        threads: for the operators of one run on the CPU, 1 or more.
        providers: names in `PROVIDERS`; nodes that one cannot run go to the next, then to the CPU.
        engine_cache: folder for TensorRT's compiled engines; None compiles at each start.
        shared_arena: whether all such sessions on the CPU take the memory of a run from one pool.
            A session of its own keeps the memory of its largest run for good.

    Raises:
        ProviderError: a provider is not installed, or does not start.
    """
    check_providers(providers)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if shared_arena and tuple(providers) == ON_CPU:
        _register_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # weights are given back when a model is unloaded, which a pool would not
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    selection = [
        (PROVIDERS[name], _options(name, threads=threads, engine_cache=engine_cache))
        for name in providers
    ]
    session = ort.InferenceSession(model, options, providers=selection)
    # ONNX Runtime continues on the CPU alone if another provider does not start.
    started = session.get_providers()
    if failed := [name for name in providers if PROVIDERS[name] not in started]:
        raise ProviderError(f"{' and '.join(failed)} did not start; a library may be missing")
    return session


@cache
def _register_arena() -> None:
    """Make the pool of this process; ONNX Runtime allows one."""
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, None)


def _options(provider: str, *, threads: int, engine_cache: Path | None) -> Mapping[str, str]:
    """Return the options for 32-bit arithmetic, so that scores equal those of the CPU."""
    match provider:
        case "openvino":
            return {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)}
        case "cuda":
            return {"use_tf32": "0"}
        case "tensorrt":
            cache = {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(engine_cache),
            }
            return {"trt_fp16_enable": "0"} | (cache if engine_cache else {})
        case _:
            return {}
