"""Runs every benchmark: `make bench`, at most 15 minutes on 2 cores."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.surroundings import SHARED

BENCHMARKS = (
    ["graph"],
    ["speed"],
    ["detection"],
    ["datasets"],
    ["sealing"],
    ["load"],
    ["fuzz", "--requests=5000"],
    ["lifetimes", "--examples=5"],
    ["s3"],
    ["batch", "--images=300", "--rounds=1", "--kills=1"],
    ["edge", "--detections=4000", "--kills=5", "--requests=5000"],
    ["station", "--images=100", "--kills=3"],
    ["line", "--seconds=60"],
    ["quality"],
)
MINUTES = 14
"""Of all together: what the others leave, `quality` takes, some six."""


def main() -> int:
    """Run one after the other, each in a process of its own; return how many failed."""
    if not (SHARED / "data").is_dir():
        print(f"{SHARED} is absent: set BLEMISH_SHARED to the folder of real images.")
        return 1
    failed, began = 0, time.monotonic()
    for name, *options in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        if name == "quality":
            left = MINUTES - (time.monotonic() - began) / 60
            options.append(f"--minutes={max(1.0, left):.1f}")
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
