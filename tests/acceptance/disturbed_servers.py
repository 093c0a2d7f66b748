"""Three servers on one PostgreSQL and one S3, of which any part but the S3 is killed or stopped.

A request whose answer is lost, or that fails because PostgreSQL is away, is made again with its
token at another server, as an SDK behind a balancer does.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.cluster import Cluster, eventually
from tests.acceptance.lifetime_server import (
    GOOD_LINES,
    IMAGES,
    OUTPUT,
    SOURCES,
    Outcome,
    Refused,
    outcome,
)
from tests.acceptance.served import BUCKET, line, model_status, wait_for
from tests.postgresql_server import PostgresqlServer
from tests.products import draw, png

NAMES = ("first", "second", "third")
PATIENCE_S = 900
STOPPED_S = 14.0
"""How long a server is stopped: its leases end meanwhile, and others take its rows."""

CALLS_BETWEEN = 3
"""Calls between two disturbances, at least."""

DISTURBED_SHARE = 0.4
"""Of the requests after these; those in whose middle a single server would be killed come too."""

READ_TIMEOUT_S = 20
AWAY = frozenset({502, 503, 504})


class DisturbedServers:
    """The servers, with the face of a `KilledServer`."""

    PATIENCE_S: ClassVar[float] = PATIENCE_S
    #: of all examples together
    steps: ClassVar[int] = 0
    #: what was done -> how often
    disturbances: ClassVar[dict[str, int]] = {}

    def __init__(self, postgresql: PostgresqlServer, *, after_kill: Callable[[], None]) -> None:
        """Start them, and train two models.

        Args:
            postgresql: of nobody else.
            after_kill: is called after each disturbance but an orderly end.
        """
        self._home = Path(mkdtemp(prefix="blemish-disturbed-"))
        self._postgresql = postgresql
        self._after_kill = after_kill
        self._random = random.Random(0)
        self._cluster = Cluster(self._home, postgresql.new_database(self._home.name))
        self._cluster.start_s3()
        self._put_objects()
        self._tokens = map("token-{}".format, itertools.count())
        #: servers that are stopped for a while
        self._stopped: set[str] = set()
        self._clients: dict[str, Any] = {}
        #: what to do when, by the monotonic clock; a thread that starts PostgreSQL must live on
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.calls = 0
        self.last: tuple[str, dict[str, Any], dict[str, Any]] | None = None
        self.client: Any = _Client(self)
        self.start()
        self._prepare()

    def start(self) -> None:
        """Start every server that does not run."""
        for name in NAMES:
            served = self._cluster.servers.get(name)
            if served is None:
                self._cluster.start(name)
            elif served.process is None or served.process.poll() is not None:
                served.start_as_it_is()
        self.calls = 0

    def end(self, number: signal.Signals) -> None:
        """End one of the servers by a signal."""
        name = self._random.choice(self._running())
        self._count(f"server ended by {number.name}")
        served = self._cluster.servers[name]
        status = served.end(number)
        assert status == (0 if number is signal.SIGTERM else -number), served.log.read_text()
        if number is signal.SIGKILL:
            self._after_kill()

    def close(self) -> None:
        """Kill what runs, and remove the folder."""
        self._act(now=[action for _, action in self._later])
        self._cluster.end()
        shutil.rmtree(self._home)

    def call(self, operation: str, **members: Any) -> Outcome:
        """Make one call, again and again while nobody can answer it."""
        DisturbedServers.steps += 1
        answered: Outcome = self.retried(
            lambda client: partial(getattr(client, operation), **members)
        )
        return answered

    def ask(self, operation: str, kill_after_s: float | None = None, **members: Any) -> Outcome:
        """Make a request, perhaps amid a disturbance; it has a token, where there is one."""
        has_token = operation != "tag_resource"
        members |= {"ClientToken": next(self._tokens)} if has_token else {}
        if kill_after_s is None and self._random.random() < DISTURBED_SHARE:
            kill_after_s = self._random.uniform(0.002, 0.1)
        if kill_after_s is None or self.calls < CALLS_BETWEEN:
            self.calls += 1
            answered = self.call(operation, **members)
        else:
            self.calls = 0
            answered = self._ask_amid(operation, kill_after_s, members, may_be_late=has_token)
        if isinstance(answered, dict) and has_token:
            self.last = (operation, members, answered)
        return answered

    def bundles_of(self, _version: int) -> list[Path]:
        """Return no folder: nobody damages bundles, which are in the S3."""
        return []

    def retried(self, call_of: Callable[[Any], Callable[[], Any]]) -> Any:
        """Return the outcome of a call at any server that answers."""
        until = time.monotonic() + PATIENCE_S
        while True:
            self._act()
            try:
                name = self._random.choice(self._running())
                return _outcome_or_away(call_of(self._client_of(name)))
            except (BotoCoreError, _AwayError) as error:
                assert time.monotonic() < until, error  # noqa: PT017 - it is tried again before
            time.sleep(0.3)

    def _ask_amid(
        self, operation: str, after_s: float, members: dict[str, Any], *, may_be_late: bool
    ) -> Outcome:
        """Make a request amid a disturbance, and again at another server.

        A server that is stopped carries a request out late, which only a token makes harmless.
        """
        name = self._random.choice(self._running())
        kinds = [self._kill_server, self._stop_postgresql, self._kill_postgresql]
        if may_be_late and not self._stopped:
            kinds += [self._stop_server] * 2
        disturb = threading.Timer(after_s, partial(self._random.choice(kinds), name))
        disturb.start()
        first: Outcome | None = None
        with contextlib.suppress(BotoCoreError, _AwayError):
            call = partial(getattr(self._client_of(name), operation), **members)
            first = _outcome_or_away(call)
        disturb.join()
        self._after_kill()
        second = self.call(operation, **members)
        self._act(now=(self._postgresql.go_on, self._postgresql.start))
        self.start()
        if isinstance(first, dict):
            assert second == first, f"{operation} was answered {first}, and then {second}"
        return second

    def _kill_server(self, name: str) -> None:
        self._count("server killed")
        self._cluster.servers[name].end(signal.SIGKILL)

    def _stop_server(self, name: str) -> None:
        self._count("server stopped")
        process = self._cluster.servers[name].process
        assert process is not None
        self._stopped.add(name)
        process.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            process.send_signal(signal.SIGCONT)
            self._stopped.discard(name)

        self._put_off(STOPPED_S, go_on)

    def _stop_postgresql(self, _name: str) -> None:
        self._count("PostgreSQL stopped")
        self._postgresql.stop()
        self._put_off(self._random.uniform(1, 8), self._postgresql.go_on)

    def _kill_postgresql(self, _name: str) -> None:
        self._count("PostgreSQL killed")
        self._postgresql.kill()
        self._put_off(self._random.uniform(0.5, 4), self._postgresql.start)

    def _put_off(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _act(self, *, now: Collection[Callable[[], None]] = ()) -> None:
        """Do what is due, and `now` even if it is not due yet."""
        due = [item for item in self._later if item[0] <= time.monotonic() or item[1] in now]
        for item in due:
            self._later.remove(item)
            item[1]()

    def _running(self) -> list[str]:
        """Return the servers that a balancer would ask."""
        return [
            name
            for name, served in self._cluster.servers.items()
            if name not in self._stopped
            and served.process is not None
            and served.process.poll() is None
        ]

    def _client_of(self, name: str) -> Any:
        if name not in self._clients:
            served = self._cluster.servers[name]
            self._clients[name] = self._cluster.client(
                served, read_timeout=READ_TIMEOUT_S, connect_timeout=5
            )
        return self._clients[name]

    @staticmethod
    def _count(what: str) -> None:
        counts = DisturbedServers.disturbances
        counts[what] = counts.get(what, 0) + 1

    def _put_objects(self) -> None:
        s3 = self._cluster.s3
        for number in range(IMAGES):
            s3.put(f"{number}.png", png(draw(number).pixels))
        s3.put_manifest("good.manifest", GOOD_LINES)
        s3.put_manifest("bad.manifest", [*GOOD_LINES, line(f"s3://{BUCKET}/none.png", "normal")])

    def _prepare(self) -> None:
        """Make what `lifetime_server.prepare` makes."""
        client = self._client_of("first")
        client.create_project(ProjectName="plates")
        client.create_dataset(ProjectName="plates", DatasetType="train", **SOURCES["good"])
        train = {"ProjectName": "plates", "DatasetType": "train"}
        eventually(
            lambda: (
                client.describe_dataset(**train)["DatasetDescription"]["Status"]
                == "CREATE_COMPLETE"
            ),
            within_s=PATIENCE_S,
        )
        for _ in range(2):
            client.create_model(ProjectName="plates", OutputConfig=OUTPUT)
        for version in ("1", "2"):
            wait_for(model_status(client, "plates", version), {"TRAINED"}, while_in={"TRAINING"})


class _Client:
    """Calls at any server that answers, with the few methods that readers need."""

    def __init__(self, servers: DisturbedServers) -> None:
        self._servers = servers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**members: Any) -> Any:
            answered = self._servers.call(operation, **members)
            assert not isinstance(answered, Refused), (operation, members, answered)
            return answered

        return call

    def get_paginator(self, operation: str) -> _Pages:
        """Return the pages of an operation, which are read as a whole."""
        return _Pages(self._servers, operation)


class _Pages:
    def __init__(self, servers: DisturbedServers, operation: str) -> None:
        self._servers = servers
        self._operation = operation

    def paginate(self, **members: Any) -> list[Any]:
        """Read all pages."""
        answered: dict[str, Any] = self._servers.retried(
            lambda client: (
                lambda: {"Pages": list(client.get_paginator(self._operation).paginate(**members))}
            )
        )
        pages: list[Any] = answered["Pages"]
        return pages


class _AwayError(Exception):
    """PostgreSQL or the server was away."""


def _outcome_or_away(call: Callable[[], dict[str, Any]]) -> Outcome:
    """Make a call; an error of the server's own, with another status than these, is raised."""
    try:
        return outcome(call)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in AWAY:
            raise
        raise _AwayError(str(error)) from error
