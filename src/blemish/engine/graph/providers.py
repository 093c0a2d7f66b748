"""Execution providers by the names of the settings; this module does not load ONNX Runtime."""

from __future__ import annotations

ON_CPU = ("cpu",)
"""The providers of trainings: a model does not depend on the other providers of its machine."""

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Execution providers: our name -> the name in ONNX Runtime."""
