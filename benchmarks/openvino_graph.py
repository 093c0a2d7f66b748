"""What OpenVINO takes for a detector's graph beside ONNX Runtime, on one thread at 256 x 256.

    python -m benchmarks.openvino_graph --python PYTHON [--rounds 12] [BACKBONE ...]

PYTHON has the packages openvino and onnxruntime, in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.graph import SIDE, random_parts
from benchmarks.surroundings import ROOT, backbone_source
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.graph.detector_graph import detector_graph


def main() -> None:
    """Measure each backbone and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbones", nargs="*", default=["scattering", "joined"])
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    print("backbone | runtime | CPU ms | difference of the map")
    for name in arguments.backbones:
        backbone = load_backbone(backbone_source(name))
        graph = detector_graph(random_parts(backbone, classes=0), width=SIDE, height=SIDE)
        with TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(graph.SerializeToString())
            peer = ROOT / "benchmarks/openvino_peer.py"
            command = [str(arguments.python), str(peer), str(path), str(arguments.rounds)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for runtime, row in json.loads(output).items():
            print(f"{name} | {runtime} | {row['cpu_ms']:.1f} | {row['difference']:.1e}")


if __name__ == "__main__":
    main()
