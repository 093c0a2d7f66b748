"""ONNX Runtime, set up the one way that every graph is run here."""

from __future__ import annotations

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _errors

SESSION_ERRORS: tuple[type[Exception], ...] = (
    _errors.EPFail,
    _errors.Fail,
    _errors.InvalidArgument,
    _errors.InvalidGraph,
    _errors.InvalidProtobuf,
    _errors.NotImplemented,
    _errors.RuntimeException,
)
"""What ONNX Runtime raises over a graph that it cannot load or run; they have no base of their own.
"""

_LOG_FATAL = 4  # what goes wrong is raised; the log would say it a second time


def open_session(model: bytes, *, threads: int) -> ort.InferenceSession:
    """Load a serialised graph for the CPU.

    Its threads sleep between operators instead of spinning: a training in the background and
    hosted models share the cores.

    Args:
        model: a serialised ONNX model.
        threads: for the operators of one run, 1 or more.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
