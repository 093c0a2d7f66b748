"""Runs the campaign, one part after the other, each in its own process.

    python -m benchmarks.campaign [--share 1.0] [--only PART]

A share of 0.01 takes a hundredth of each part: `make nightly` runs that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

PARTS: dict[str, Callable[[float], list[str]]] = {
    "campaign.access": lambda share: [f"--requests={_at_least(1_000_000 * share, 2_000)}"],
    "fuzz": lambda share: [f"--requests={_at_least(100_000 * share, 1_000)}"],
    "campaign.parsers": lambda share: [f"--seconds={_at_least(600 * share, 5)}"],
    "campaign.moments": lambda share: [f"--moments={_at_least(300 * share, 6)}"],
    "connections": lambda share: [f"--connections={_at_least(10_000 * share, 200)}"],
    "lifetimes": lambda share: [
        f"--examples={_at_least(100 * share, 1)}",
        f"--on-servers={_at_least(3 * share, 0)}",  # a test makes some steps every night
    ],
    "campaign.upgrades": lambda share: [f"--kills={_at_least(40 * share, 2)}"],
    "campaign.steady": lambda share: [
        f"--minutes={max(1.0, 60 * share):.2f}",
        f"--warm-up={max(0.3, 10 * share):.2f}",
    ],
}
"""Module below `benchmarks` -> its options for a share of the whole."""


def _at_least(count: float, least: int) -> int:
    return max(least, round(count))


def _parts() -> list[str]:
    """Return the parts whose modules are there."""
    return [name for name in PARTS if find_spec(f"benchmarks.{name}") is not None]


def main() -> int:
    """Run; return how many parts failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the whole campaign")
    parser.add_argument("--only", choices=sorted(PARTS), help="the one part to run")
    arguments = parser.parse_args()
    failed = []
    for name in [arguments.only] if arguments.only else _parts():
        print(f"\n== {name} ==", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{name}", *PARTS[name](arguments.share)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"{time.monotonic() - began:,.0f} s", flush=True)
    print(f"\nfailed: {', '.join(failed) or 'nothing'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
