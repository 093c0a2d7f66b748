"""Runs every benchmark: `make bench`, at most 15 minutes on 2 cores."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.quality import SHARED

BENCHMARKS = (
    ["graph"],
    ["speed"],
    ["detection"],
    ["datasets"],
    ["sealing"],
    ["load"],
    ["fuzz"],
    ["lifetimes"],
    ["s3", "--long"],
    ["quality"],
)


def main() -> int:
    """Run one after the other, each in a process of its own; return how many failed."""
    if not (SHARED / "data").is_dir():
        print(f"{SHARED} is absent: set BLEMISH_SHARED to the folder of real pictures.")
        return 1
    failed = 0
    for name, *options in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
