"""Whether 20,000 requests of every kind leave a server whole, and what they were answered.

    python -m benchmarks.fuzz [--requests 20000] [--seed 2] [--results FILE.json]

Not a measure of speed: a longer run of tests/acceptance/test_fuzz.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.surroundings import ROOT
from tests.acceptance.fuzz import play
from tests.acceptance.served import ServedDirectory


def main() -> int:
    """Play and print; return how many problems there were, as an exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/fuzz.json")
    arguments = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        served = ServedDirectory(Path(folder, "data"), environment={})
        served.start()
        try:
            found = play(served, requests=arguments.requests, seed=arguments.seed)
            traces = served.log.read_text().count("Traceback")
        finally:
            served.end()
    for (kind, status), count in sorted(found.statuses.items()):
        print(f"{kind:12} {status:4} {count:7}")
    for problem in found.problems:
        print(problem[:1_000])
    measured = {
        "requests": arguments.requests,
        "seconds": time.monotonic() - began,
        "carried_out": sum(found.accepted.values()),
        "operations_carried_out": len(found.accepted),
        "problems": len(found.problems),
        "traces_in_the_log": traces,
    }
    for name, value in measured.items():
        print(f"{name:28} {value:10.1f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")
    return min(1, len(found.problems) + traces)


if __name__ == "__main__":
    sys.exit(main())
