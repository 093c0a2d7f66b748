"""Reads on PostgreSQL beside the same reads on SQLite.

    python -m benchmarks.postgresql [--rounds 20]

Two servers have the same rows, 1,000 projects with 10,000 models; the rows of one are in PostgreSQL
on this machine. Each Describe and List is sent to both in turn, so that whatever else the machine
does meets both alike.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.load import READS, Load, all_answered
from benchmarks.load_rows import fill
from tests.acceptance.served import ServedDirectory
from tests.postgresql_server import postgresql_server

REQUESTS = 60
"""Of each operation in a round."""

AT_MOST = 2.0
"""The 99th percentile on PostgreSQL over that on SQLite."""

Times = dict[str, dict[str, list[float]]]


def measure(*, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median and the 99th percentile of each read in milliseconds, on both."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        address = stack.enter_context(postgresql_server()).new_database("load")
        fill(folder / "sqlite")
        fill(folder / "postgresql", address=address)
        with psycopg.connect(address.url) as connection:
            connection.execute("ANALYZE")
        loads = {}
        for name, environment in {
            "sqlite": {},
            "postgresql": {"BLEMISH_DATABASE_URL": address.url},
        }.items():
            served = ServedDirectory(folder / name, environment=environment)
            served.start()
            stack.callback(served.end)
            loads[name] = Load(served, served.client())
        return _summary(_times(loads, rounds=rounds))


def _times(loads: dict[str, Load], *, rounds: int) -> Times:
    times: Times = {operation: {name: [] for name in loads} for operation in READS}
    requests = {
        (operation, name): load.signed(operation, **members)
        for operation, members in READS.items()
        for name, load in loads.items()
    }
    for _ in range(rounds):
        for (operation, name), request in requests.items():
            outcome = loads[name].start([request], connections=1, count=REQUESTS).outcome()
            times[operation][name] += all_answered(outcome, what=operation).milliseconds[1:]
    return times


def _summary(times: Times) -> dict[str, dict[str, float]]:
    everything = {
        name: [time for of_operation in times.values() for time in of_operation[name]]
        for name in ("sqlite", "postgresql")
    }
    return {
        operation: {
            "sqlite_median_ms": median(of_operation["sqlite"]),
            "postgresql_median_ms": median(of_operation["postgresql"]),
            "sqlite_p99_ms": _p99(of_operation["sqlite"]),
            "postgresql_p99_ms": _p99(of_operation["postgresql"]),
            "p99_ratio": _p99(of_operation["postgresql"]) / _p99(of_operation["sqlite"]),
        }
        for operation, of_operation in [*times.items(), ("all", everything)]
    }


def _p99(times: list[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


def main() -> int:
    """Measure, and print the numbers; 1 if the 99th percentile of all reads is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    busy = os.getloadavg()[0]
    figures = measure(rounds=parser.parse_args().rounds)
    print(json.dumps({"load_average_before": busy, **figures}, indent=2))
    return int(figures["all"]["p99_ratio"] > AT_MOST)


if __name__ == "__main__":
    raise SystemExit(main())
