"""Thousands of random requests to servers that are killed and started again: is all of it true?

Each example begins with the same data directory, and asks for anything in any order; the server is
killed amid requests and between them. With `--on-servers`, three servers share one PostgreSQL and
one S3, and servers and PostgreSQL are killed and stopped. `tests/acceptance/lifetimes.py` knows
what must hold, and fails with the steps that led to what does not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from secrets import randbelow
from tempfile import TemporaryDirectory

from tests.acceptance.disturbed_servers import DisturbedServers
from tests.acceptance.lifetime_server import KilledServer, prepare
from tests.acceptance.lifetimes import run, run_on_servers
from tests.postgresql_server import postgresql_server

STEPS = 100


def main() -> None:
    """Make the steps, and say how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20, help=f"of {STEPS} steps each")
    parser.add_argument("--on-servers", type=int, default=0, help="as many on three servers")
    parser.add_argument("--seed", type=int, default=randbelow(2**32), help="of an earlier run")
    arguments = parser.parse_args()
    seed = arguments.seed
    print(f"--seed {seed}", flush=True)
    began = time.monotonic()
    with TemporaryDirectory(prefix="blemish-lifetimes-") as folder:
        prepared = Path(folder, "prepared")
        prepare(prepared)
        run(prepared, examples=arguments.examples, steps=STEPS, random_seed=seed)
    took_s = time.monotonic() - began
    print(f"{KilledServer.steps:,} steps, {KilledServer.starts} starts of a server, {took_s:.0f} s")
    print("every status was true, nothing was done twice, and nothing was left behind")
    if arguments.on_servers:
        _run_on_servers(arguments.on_servers, random_seed=seed)


def _run_on_servers(examples: int, *, random_seed: int) -> None:
    """The same on three servers that share a PostgreSQL, which is killed and stopped, too."""
    began = time.monotonic()
    with postgresql_server() as postgresql:
        run_on_servers(postgresql, examples=examples, steps=STEPS, random_seed=random_seed)
    took_s = time.monotonic() - began
    print(f"three servers: {DisturbedServers.steps:,} calls, {took_s:.0f} s, and every status true")
    for what, count in sorted(DisturbedServers.disturbances.items()):
        print(f"  {what}: {count}")


if __name__ == "__main__":
    main()
