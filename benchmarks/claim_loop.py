"""How many servers one PostgreSQL bears: the claim loop, measured and then simulated.

First the transactions of the loop are measured on a real PostgreSQL: the processor time of its
processes, and that of the client, which other work on the machine changes little. Then a simulation
lets up to a thousand servers look, beat, renew, claim and finish: all share the cores of the
database, and only the ends of work wait for each other at the lock of writers.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psycopg

from blemish.domain.entities import ModelStatus
from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.rows.servers import ServerRow
from tests.postgresql_server import postgresql_server
from tests.unit.storage.samples import NOW, add_model, add_project

ROUNDS = 400
BACKLOG = 100
"""Rows that wait while the loop is timed."""

LEASE = timedelta(seconds=10)
POLL_S, BEAT_S = 1.0, 2.0
SIMULATED_S = 120.0
WORK_S = 20.0
"""How long a piece of work takes; each server has one at a time."""

NETWORK_S = 0.0003
ROUND_TRIPS = 4
"""A round trip between two machines of a plant, and how many a transaction has."""

Schedule = Callable[[float, str, int], None]

SERVERS = (2, 10, 100, 300, 1_000)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of a transaction."""

    #: of a core of the database
    database: float
    #: from its begin to its end, with the client's part and round trips
    whole: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The transactions of the loop."""

    look: Cost
    beat: Cost
    renew: Cost
    claim: Cost
    finish: Cost


def measured(address: PostgresqlAddress) -> Costs:
    """Time the transactions of the loop."""
    with closing(Database.open(address)) as database:
        with database.writing() as rows:
            models = [add_model(rows, add_project(rows, f"p{number}")) for number in range(BACKLOG)]
            rows.servers.add(_server())
            now = rows.work.time(NOW)
            model = models[0].id
            rows.models.claim(model, owner="s", now=now, lease_until=now + LEASE)

        def look() -> None:
            with database.reading() as rows:
                now = rows.work.time(NOW)
                rows.work.leased(now)
                rows.servers.count(now - LEASE)
                rows.datasets.unsettled()
                rows.models.unsettled()
                rows.detection_jobs.unsettled()
                rows.packaging_jobs.unsettled()

        def beat() -> None:
            with database.renewing() as rows:
                rows.servers.beat("s", rows.work.time(NOW))

        def renew() -> None:
            with database.renewing() as rows:
                now = rows.work.time(NOW)
                rows.models.renew(model, attempt=1, lease_until=now + LEASE)

        def claim() -> None:
            with database.renewing() as rows:
                now = rows.work.time(NOW)
                rows.models.claim(models[1].id, owner="s", now=now, lease_until=now)
                rows.models.unsettled()

        def finish() -> None:
            with database.writing() as rows:
                rows.models.finish(
                    model,
                    attempt=1,
                    sources=[ModelStatus.TRAINING],
                    target=ModelStatus.TRAINING,
                    status_message="",
                )

        return Costs(
            look=_cost(look, address),
            beat=_cost(beat, address),
            renew=_cost(renew, address),
            claim=_cost(claim, address),
            finish=_cost(finish, address),
        )


def _server() -> ServerRow:
    return ServerRow(
        id="s",
        directory_id="d",
        host="h",
        address="a",
        version="1",
        stores="",
        started_at=NOW,
        beat_at=NOW,
    )


def _cost(act: Callable[[], None], address: PostgresqlAddress) -> Cost:
    act()  # which connects
    with psycopg.connect(address.url) as connection:
        backends = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        pids = [pid for (pid,) in connection.execute(backends)]
    before, began = _processor_s(pids), time.thread_time()
    for _ in range(ROUNDS):
        act()
    client = (time.thread_time() - began) / ROUNDS
    database = (_processor_s(pids) - before) / ROUNDS
    return Cost(database=database, whole=database + client + ROUND_TRIPS * NETWORK_S)


def _processor_s(pids: list[int]) -> float:
    """Return the processor time of processes that still run."""
    ticks = 0
    for pid in pids:
        with suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Plant:
    """The simulated database and its servers."""

    servers: int
    cores: int
    costs: Costs
    spreads: bool
    draw: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311
    core_free: list[float] = field(default_factory=list)
    lock_free: float = 0.0
    core_busy: float = 0.0
    lock_busy: float = 0.0
    #: times of rows that wait, by their number
    waiting: dict[int, float] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    wasted: int = 0
    #: the row that each server tries to claim
    choices: dict[int, int] = field(default_factory=dict)

    def run(self, *, per_server_s: float) -> None:
        """Run the plant; each server gets a piece of work in so many seconds on average."""
        self.core_free = [0.0] * self.cores
        events: list[tuple[float, int, str, int]] = []
        number = 0

        def at(moment: float, what: str, who: int) -> None:
            nonlocal number
            number += 1
            heapq.heappush(events, (moment, number, what, who))

        for server in range(self.servers):
            at(self.draw.uniform(0, POLL_S), "look", server)
            at(self.draw.uniform(0, BEAT_S), "beat", server)
        at(0.0, "arrive", 0)
        arrived = 0
        while events and events[0][0] < SIMULATED_S:
            now, _, what, server = heapq.heappop(events)
            match what:
                case "arrive":
                    self.waiting[arrived] = now
                    arrived += 1
                    at(now + self.draw.expovariate(self.servers / per_server_s), "arrive", 0)
                case "beat":
                    self._use(now, self.costs.beat)
                    at(now + BEAT_S, "beat", server)
                case "end" if self.lock_free > now:
                    at(self.lock_free, what, server)
                case "end":
                    self._write(now, self.costs.finish)
                    self.busy.discard(server)
                    at(self.lock_free, "look", server)
                case "try":
                    self._try(now, server, at)
                case "renew":
                    at(max(self._use(now, self.costs.renew), now + POLL_S), "look", server)
                case _:
                    self._look(now, server, at)

    def _look(self, now: float, server: int, at: Schedule) -> None:
        ended = self._use(now, self.costs.look)
        self.looks.append(ended - now)
        if server in self.busy:
            at(ended, "renew", server)
            return
        if self.waiting:
            rows = list(itertools.islice(self.waiting, self.servers))
            self.choices[server] = self.draw.choice(rows) if self.spreads else rows[0]
            at(ended, "try", server)
            return
        at(max(ended, now + POLL_S), "look", server)

    def _try(self, now: float, server: int, at: Schedule) -> None:
        ended = self._use(now, self.costs.claim)
        arrived = self.waiting.pop(self.choices[server], None)
        if arrived is None:
            self.wasted += 1
            at(now + POLL_S, "look", server)
            return
        self.delays.append(ended - arrived)
        self.busy.add(server)
        at(ended + WORK_S, "end", server)
        at(now + POLL_S, "look", server)

    def _use(self, now: float, cost: Cost) -> float:
        """Use a core of the database; return when the transaction has ended."""
        began = max(now, heapq.heappop(self.core_free))
        heapq.heappush(self.core_free, began + cost.database)
        self.core_busy += cost.database
        return began + cost.whole

    def _write(self, now: float, cost: Cost) -> None:
        self.lock_free = self._use(now, cost)
        self.lock_busy += self.lock_free - now


def line(plant: Plant) -> str:
    """Return the figures of a run as a row of a table."""
    delays = sorted(plant.delays) or [0.0]
    looks = sorted(plant.looks)
    return (
        f"| {plant.servers:,} | {'spread' if plant.spreads else 'oldest first'} "
        f"| {plant.core_busy / plant.cores / SIMULATED_S:.0%} "
        f"| {plant.lock_busy / SIMULATED_S:.0%} | {len(plant.delays):,} "
        f"| {plant.wasted / max(1, len(plant.delays)):.2f} "
        f"| {statistics.median(delays):.2f} | {delays[int(len(delays) * 0.99)]:.2f} "
        f"| {looks[int(len(looks) * 0.99)] * 1_000:.0f} |"
    )


def main() -> None:
    """Time the transactions, and simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=8, help="of the database's machine")
    cores = parser.parse_args().cores
    with postgresql_server() as server:
        costs = measured(server.new_database("claims"))
    print("| transaction | ms of the database | ms in all |\n|---|---|---|")
    for name, cost in vars(costs).items():
        print(f"| {name} | {cost.database * 1_000:.2f} | {cost.whole * 1_000:.2f} |")
    print(
        "\n| servers | order | cores busy | lock busy | claims | lost tries a claim "
        "| delay p50 s | p99 s | look p99 ms |\n|---|---|---|---|---|---|---|---|---|"
    )
    for servers in SERVERS:
        for spreads in (False, True):
            plant = Plant(servers=servers, cores=cores, costs=costs, spreads=spreads)
            plant.run(per_server_s=WORK_S * 1.5)
            print(line(plant), flush=True)


if __name__ == "__main__":
    main()
