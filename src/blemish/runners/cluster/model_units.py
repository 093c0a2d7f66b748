"""The inference units of a hosted model in the broker: each takes images from one queue.

A unit is a task with an actor on a node. When the actor is lost, the image goes back into the
queue, and the unit starts another one. A changed bundle is loaded into the same actors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.engine.errors import BundleError
from blemish.runners.cluster.unavailable import first_line

logger: FilteringBoundLogger = structlog.get_logger(__name__)

DETECTION_PATIENCE_S = 30.0
"""How long a detection may take before its actor is replaced."""

RELOAD_PATIENCE_S = 120.0
"""How long an actor that is there may take to load another bundle before it is replaced."""

GO_BACK_PATIENCE_S = 5.0
"""How long an actor that cannot load a bundle waits for the one before: it still has that one."""

QUEUE_PATIENCE_S = 30.0
"""How long an image waits for a unit."""

CHECK_S = 2.0
"""How often an idle actor is asked whether it is there."""

MOST_LOST_ACTORS = 2
"""An image that this many actors were lost with is given up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0

NOT_IN_TIME = "No inference unit was free in time."

Answer: TypeAlias = tuple[str, Mapping[str, Any], Sequence[bytes]]
"""Kind, document and bytes of a message: `detection`, `unreadable`, or `unavailable`."""

T = TypeVar("T")


class ActorLostError(Exception):
    """An actor cannot be started, or has ended; the message is a sentence."""


class UnitActor(Protocol):
    """A detector on a node. All methods raise ActorLostError; `load` BundleError too."""

    async def load(self, bundle: Any) -> None:
        """Load a bundle, instead of an earlier one."""

    async def detect(self, document: Mapping[str, Any], data: bytes) -> Answer:
        """Return the result of an image; the document has the limits."""

    async def check(self) -> None:
        """Return if the actor is there."""

    def end(self) -> None:
        """End the actor, whatever it does."""


@dataclass
class DetectionRequest:
    """An image that waits for a unit, or is with one."""

    document: Mapping[str, Any]
    data: bytes
    #: by the clock of the event loop
    expires_at: float
    lost_actors: int = 0


class ModelUnits:
    """The units of one model; to be used in the event loop alone."""

    def __init__(
        self,
        start: Callable[[], UnitActor],
        *,
        answer: Callable[[DetectionRequest, Answer], None],
        report: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        """Have no units yet.

        Args:
            start: starts an actor.
            answer: is called with the result of each request.
            report: is called with the counts of `units`, or a `problem`, when these change.
        """
        self._start = start
        #: what actors load, and its version
        self._bundle: Any = None
        self._version = 0
        #: what they had before, until all units have the newest bundle
        self._former: Any = None
        #: set when there is a newer bundle; then there is another event
        self._exchanged = asyncio.Event()
        self._answer = answer
        self._report = report
        #: images, and None to wake a unit that may have to end
        self._queue: asyncio.Queue[DetectionRequest | None] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        #: the units that judge images, with the version of the bundle that they have
        self._ready: dict[asyncio.Task[None], int] = {}
        #: units that shall be there
        self._count = 0

    @property
    def is_starting(self) -> bool:
        """Whether a unit waits for a node, or loads its first bundle."""
        return bool(self._starting)

    @property
    def version(self) -> int:
        """The version of the newest bundle."""
        return self._version

    def submit(self, request: DetectionRequest) -> None:
        """Let an image wait for a unit."""
        if self._count:
            self._let_wait(request)
        else:
            self._give_up(request, "The model has been stopped.")

    def _let_wait(self, request: DetectionRequest) -> None:
        self._queue.put_nowait(request)
        loop = asyncio.get_running_loop()
        loop.call_at(request.expires_at, self._drop_expired, request.expires_at)

    def _drop_expired(self, now: float) -> None:
        """Answer what has waited for too long: there may be no unit that takes it."""
        for _ in range(self._queue.qsize()):
            request = self._queue.get_nowait()
            if request is None or request.expires_at > now:
                self._queue.put_nowait(request)
            else:
                self._give_up(request, NOT_IN_TIME)

    def set_bundle(self, bundle: Any, *, version: int) -> None:
        """Have all units load a bundle, each after the image that it judges now."""
        self._former, self._bundle, self._version = self._bundle, bundle, version
        self._exchanged.set()
        self._exchanged = asyncio.Event()
        for _ in self._ready:
            self._queue.put_nowait(None)

    def go_back(self, failed: int, *, version: int) -> bool:
        """Have all units load what they had before an exchange that failed.

        Args:
            failed: version of the bundle that cannot be used; it may not have come this far.
            version: from now on.

        Returns:
            Whether the bundle is there.
        """
        bundle = self._former if failed == self._version else self._bundle
        if bundle is not None:
            self.set_bundle(bundle, version=version)
        return bundle is not None

    def set_units(self, count: int) -> None:
        """Start units, or end them: those that only start at once, others after their images."""
        self._count = count
        while len(self._starting) + len(self._ready) < count:
            task = asyncio.get_running_loop().create_task(self._unit())
            self._starting.add(task)
            task.add_done_callback(self._ended)
        while self._starting and self._is_surplus():
            self._starting.pop().cancel()
        for _ in self._ready if self._is_surplus() else ():
            self._queue.put_nowait(None)

    def _is_surplus(self) -> bool:
        return len(self._starting) + len(self._ready) > self._count

    async def _unit(self) -> None:
        pause_s = FIRST_PAUSE_S
        task = asyncio.current_task()
        assert task is not None
        while True:
            actor: UnitActor | None = None
            try:
                actor = self._start()
                await self._load(task, actor)
                pause_s = FIRST_PAUSE_S
                await self._work(task, actor)
                return
            except Exception as error:  # noqa: BLE001 - a unit goes on, whatever ended its actor
                self._report_problem(error)
            finally:
                if actor is not None:
                    _end(actor)
            self._ready.pop(task, None)
            self._starting.discard(task)
            if len(self._starting) + len(self._ready) >= self._count:
                return
            self._starting.add(task)
            self._report_units()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _load(self, task: asyncio.Task[None], actor: UnitActor) -> None:
        """Load the newest bundle, unless the actor has it; then the unit is ready."""
        while (loaded_version := self._ready.get(task)) != self._version:
            version, load = self._version, actor.load(self._bundle)
            try:
                # a new actor waits for a node, however long that takes
                await (load if loaded_version is None else _in_time(load, RELOAD_PATIENCE_S))
            except BundleError as error:
                if version == self._version and loaded_version is not None:
                    self._report_problem(error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._exchanged.wait(), GO_BACK_PATIENCE_S)
                if version == self._version:
                    raise
                continue  # there is a newer one
            self._starting.discard(task)
            self._ready[task] = version
            if self._newest() >= self._count:
                self._former = None
            self._report_units()

    async def _work(self, task: asyncio.Task[None], actor: UnitActor) -> None:
        """Judge images until this unit is to end.

        Raises:
            Exception: another actor has to go on.
        """
        while True:
            try:
                request = await asyncio.wait_for(self._queue.get(), CHECK_S)
            except TimeoutError:
                await _in_time(actor.check(), DETECTION_PATIENCE_S)
                request = None  # another unit may have been woken in place of this one
            if request is None:
                if self._is_surplus():
                    del self._ready[task]  # now: the next unit counts again
                    return
                await self._load(task, actor)  # a bundle may have been exchanged
                continue
            if request.expires_at < asyncio.get_running_loop().time():
                self._give_up(request, NOT_IN_TIME)
                continue
            try:
                await self._load(task, actor)
                detection = actor.detect(request.document, request.data)
                answer = await _in_time(detection, DETECTION_PATIENCE_S)
            except Exception as error:
                request.lost_actors += 1
                if request.lost_actors < MOST_LOST_ACTORS:
                    self._let_wait(request)
                else:
                    self._give_up(request, _reason(error))
                raise
            self._answer(request, answer)

    def _report_units(self) -> None:
        counts = {"in_service": len(self._ready), "count": self._newest()}
        self._report("units", {**counts, "version": self._version})

    def _report_problem(self, error: Exception) -> None:
        document = {"reason": _reason(error), "version": self._version}
        self._report("problem", {**document, "may_pass": not isinstance(error, BundleError)})

    def _newest(self) -> int:
        return sum(version == self._version for version in self._ready.values())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        self._ready.pop(task, None)
        self._report_units()
        if self._starting or self._ready or self._count:
            return
        while not self._queue.empty():
            request = self._queue.get_nowait()
            if request is not None:
                self._give_up(request, "The model has been stopped.")

    def _give_up(self, request: DetectionRequest, reason: str) -> None:
        self._answer(request, ("unavailable", {"reason": reason}, []))


def _reason(error: Exception) -> str:
    if isinstance(error, ActorLostError | BundleError):
        return str(error)
    return f"an actor failed: {first_line(error)}"


def _end(actor: UnitActor) -> None:
    try:
        actor.end()
    except Exception as error:  # noqa: BLE001 - there will be another actor
        logger.warning("an actor could not be ended", reason=first_line(error))


async def _in_time(work: Coroutine[Any, Any, T], patience_s: float) -> T:
    try:
        return await asyncio.wait_for(work, patience_s)
    except TimeoutError:
        raise ActorLostError(f"an actor did not answer for {patience_s:g} s") from None
