"""Times one graph in ONNX Runtime and in OpenVINO, in turn; for a Python that has both.

    PYTHON benchmarks/openvino_peer.py GRAPH.onnx ROUNDS

Prints a JSON object: what ran -> median CPU time in ms, and the largest difference of the anomaly
map to ONNX Runtime's, as a share of its largest value. `benchmarks.openvino_graph` starts it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

openvino: Any = import_module("openvino")

Run = Callable[[], NDArray[np.float32]]

PRECISIONS = ("f32", "bf16")
WARM_UP = 3


def compiled(path: str, precision: str, pixels: NDArray[np.uint8]) -> Run:
    """Return a function that runs the graph on one thread and returns the anomaly map."""
    core = openvino.Core()
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    model = core.compile_model(core.read_model(path), "CPU", hints)
    request = model.create_infer_request()
    values = {"pixels": pixels, "threshold": np.array(1, dtype=np.float32)}
    names = {name for entry in model.inputs for name in entry.get_names()}
    feed = {name: value for name, value in values.items() if name in names}

    def run() -> NDArray[np.float32]:
        values: NDArray[np.float32] = request.infer(feed)[model.output("anomaly_map")]
        return values

    return run


def main() -> None:
    """Run all in turn and print the medians."""
    path, rounds = sys.argv[1], int(sys.argv[2])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runs: dict[str, Run] = {
        "onnxruntime": lambda: session.run(["anomaly_map"], {"pixels": pixels})[0]
    }
    runs |= {f"openvino {name}": compiled(path, name, pixels) for name in PRECISIONS}
    times: dict[str, list[float]] = {name: [] for name in runs}
    expected = runs["onnxruntime"]()
    for _ in range(WARM_UP + rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            times[name].append(1_000 * (time.process_time() - began))
    measured = {
        name: {
            "cpu_ms": statistics.median(times[name][WARM_UP:]),
            "difference": float(np.abs(run() - expected).max() / np.abs(expected).max()),
        }
        for name, run in runs.items()
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
