"""anomalib's PatchCore at work for `benchmarks.speed`, run by the Python that it is installed for.

    PYTHON benchmarks/speed_peer.py WEIGHTS.npz THREADS

Reads JSON lines and answers each by one: {"fit": [FILE, ...]} by seconds, processor time and peak
memory, {"detect": FILE} by milliseconds and those of the processor. The model is called without
Lightning's trainer, which favours it.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
import time
import types
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

CORESET_SHARE = 0.02
BATCH = 32  # anomalib's default
SIDE = 256

torch: Any = import_module("torch")
_TORCHVISION: Any = find_spec("torchvision")
try:
    ctypes.CDLL(str(Path(_TORCHVISION.origin).parent / "_C.so"))
except OSError:  # built for another torch: the operators that it would register are declared here
    _OPERATORS = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def resnet18(weights: list[tuple[Any, Any]]) -> Any:
    """Build ResNet-18 to layer 3 from the (weight, bias) of its convolutions, in order."""
    nn, left = torch.nn, iter(weights)

    def conv(stride: int) -> Any:
        weight, bias = next(left)
        kernel = weight.shape[2]
        made = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, stride, kernel // 2)
        made.weight.data, made.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        return made

    def block(stride: int) -> Any:
        made = nn.Module()
        made.first, made.second = conv(stride), conv(1)
        made.short = nn.Identity() if stride == 1 else conv(stride)

        def forward(self: Any, x: Any) -> Any:
            inner = self.second(torch.relu(self.first(x)))
            return torch.relu(inner + self.short(x))

        made.forward = types.MethodType(forward, made)
        return made

    network = nn.Sequential()
    for name, module in (
        ("stem", nn.Sequential(conv(2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))),
        ("layer1", nn.Sequential(block(1), block(1))),
        ("layer2", nn.Sequential(block(2), block(1))),
        ("layer3", nn.Sequential(block(2), block(1))),
    ):
        network.add_module(name, module)
    return network.eval()


class Peer:
    """PatchCore over a backbone of given weights."""

    def __init__(self, weights: str) -> None:
        with np.load(weights) as file:
            arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
        self._network = resnet18(list(zip(arrays[::2], arrays[1::2], strict=True)))
        self._read = import_module("anomalib.data.utils").read_image
        self._patchcore = import_module("anomalib.models").Patchcore
        self._model = self._new()

    def _new(self) -> Any:
        options = dict.fromkeys(("post_processor", "evaluator", "visualizer"), False)
        return self._patchcore(
            backbone=self._network,
            layers=["layer2", "layer3"],
            coreset_sampling_ratio=CORESET_SHARE,
            pre_processor=self._patchcore.configure_pre_processor((SIDE, SIDE)),
            **options,
        )

    def fit(self, files: list[str]) -> dict[str, float]:
        """Learn from images."""
        began, busy = time.perf_counter(), time.process_time()
        self._model = self._new()
        self._model.model.train()
        self._network.eval()
        with torch.inference_mode():
            for start in range(0, len(files), BATCH):
                images = [self._read(f, as_tensor=True) for f in files[start : start + BATCH]]
                small = [self._model.pre_processor.transform(image) for image in images]
                self._model.model(torch.stack(small))
            self._model.fit()
        self._model.eval()
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "seconds": time.perf_counter() - began,
            "cpu_s": time.process_time() - busy,
            "peak_mib": peak_mib,
        }

    def detect(self, file: str) -> dict[str, float]:
        """Detect in one image."""
        began, busy = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            self._model(self._read(file, as_tensor=True)[None])
        wall_s = time.perf_counter() - began
        return {"ms": 1_000 * wall_s, "cpu_ms": 1_000 * (time.process_time() - busy)}


def main() -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    torch.set_num_threads(int(sys.argv[2]))
    peer = Peer(sys.argv[1])
    for line in sys.stdin:
        ((name, argument),) = json.loads(line).items()
        print(json.dumps(getattr(peer, name)(argument)), file=answers, flush=True)


if __name__ == "__main__":
    main()
