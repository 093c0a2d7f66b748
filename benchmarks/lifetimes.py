"""Thousands of random requests to servers that are killed and started again: is all of it true?

Each example begins with the same data directory, and asks for anything in any order; the server is
killed amid requests and between them. `tests/acceptance/lifetimes.py` knows what must hold, and
fails with the steps that led to what does not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.lifetime_server import KilledServer, prepare
from tests.acceptance.lifetimes import run

STEPS = 100


def main() -> None:
    """Make the steps, and say how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20, help=f"of {STEPS} steps each")
    examples = parser.parse_args().examples
    began = time.monotonic()
    with TemporaryDirectory(prefix="blemish-lifetimes-") as folder:
        prepare(Path(folder, "prepared"))
        run(Path(folder, "prepared"), examples=examples, steps=STEPS)
    took_s = time.monotonic() - began
    print(f"{KilledServer.steps:,} steps, {KilledServer.starts} starts of a server, {took_s:.0f} s")
    print("every status was true, nothing was done twice, and nothing was left behind")


if __name__ == "__main__":
    main()
