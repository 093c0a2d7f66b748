"""The models of an agent: their states, and the calls that each state allows.

    STOPPED -> STARTING -> RUNNING -> STOPPING -> STOPPED
                  |
                  v
               FAILED -> STARTING

A component that is removed takes its model with it, in any state. All state is changed in the event
loop alone; loading and judging take place in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from blemish.edge.components import ComponentFolder, InstalledComponent
from blemish.edge.errors import (
    AgentBusyError,
    EdgeError,
    InvalidCallError,
    ModelStateError,
    UnknownModelError,
)
from blemish.edge.messages import EdgeStatus
from blemish.engine.errors import EngineError

logger = logging.getLogger(__name__)

MOST_WAITING = 32
"""Images that may wait for a thread, of all models together."""

FIRST_LOAD_S = 10.0
"""How long a detection waits for a model that starts with the agent: after a restart of the agent
its clients need not know that models are loaded again."""

DETECTION_THREADS = 2
"""One judges while the other prepares the next image; a graph uses all processors itself."""

T = TypeVar("T")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, kw_only=True)
class EdgeDescription:
    """A model as clients see it."""

    component: str
    model_arn: str
    status: EdgeStatus
    message: str


class EdgeModel(Generic[Loaded]):
    """The model of one component."""

    def __init__(self, component: InstalledComponent) -> None:
        self.component = component
        self.status = EdgeStatus.STOPPED
        self.message = ""
        self.loaded: Loaded | None = None
        #: of a model that started with the agent
        self.first_load: asyncio.Task[None] | None = None
        #: detections that were accepted and are not over
        self.detections = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def describe(self) -> EdgeDescription:
        """Return what clients see; a component that cannot be read is a FAILED model."""
        info, problem = self.component.info, self.component.problem
        broken = problem is not None and self.status is EdgeStatus.STOPPED
        return EdgeDescription(
            component=self.component.name,
            model_arn=info.model_arn if info else "",
            status=EdgeStatus.FAILED if broken else self.status,
            message=problem or "" if broken else self.message,
        )


class EdgeModels(Generic[Loaded]):
    """The models of all installed components."""

    def __init__(
        self, folder: ComponentFolder, *, load: Callable[[InstalledComponent], Loaded]
    ) -> None:
        """Take where components are, and what loads one; `load` raises errors for people."""
        self._folder = folder
        self._load = load
        self._models: dict[str, EdgeModel[Loaded]] = {}
        self._waiting = 0
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._detector = ThreadPoolExecutor(DETECTION_THREADS, thread_name_prefix="detect")
        self._tasks: set[asyncio.Task[None]] = set()

    def refresh(self) -> None:
        """Take in what was installed, replaced or removed; start what starts by itself."""
        components = self._folder.components()
        for name in self._models.keys() - components.keys():
            logger.info("component %s was removed", name)
            del self._models[name]
        for name, component in components.items():
            model = self._models.get(name)
            if model is None:
                logger.info("component %s %s is installed", name, component.version)
                model = self._models[name] = EdgeModel(component)
                if component.autostart:
                    model.first_load = self._begin(model)
            elif model.component != component:
                self._replace(model, component)

    def describe(self, name: str) -> EdgeDescription:
        """Describe one model.

        Raises:
            InvalidCallError, UnknownModelError: there is none of this name.
        """
        return self._require(name).describe()

    def describe_all(self) -> Sequence[EdgeDescription]:
        """Describe all models, by name."""
        self.refresh()
        return [self._models[name].describe() for name in sorted(self._models)]

    def start(self, name: str) -> EdgeStatus:
        """Begin to load a model.

        Raises:
            InvalidCallError, UnknownModelError: there is none of this name.
            ModelStateError: it is neither STOPPED nor FAILED.
        """
        model = self._require(name)
        if model.status not in {EdgeStatus.STOPPED, EdgeStatus.FAILED}:
            raise _wrong_state(model, "start")
        self._begin(model)
        return model.status

    async def stop(self, name: str) -> EdgeStatus:
        """Unload a model; return once the detections that it has are over.

        Raises:
            InvalidCallError, UnknownModelError: there is none of this name.
            ModelStateError: it is not RUNNING.
        """
        model = self._require(name)
        if model.status is not EdgeStatus.RUNNING:
            raise _wrong_state(model, "stop")
        model.status, model.message = EdgeStatus.STOPPING, ""
        await asyncio.shield(self._spawn(self._stop(model)))
        return EdgeStatus.STOPPED

    async def running(self, name: str) -> Loaded:
        """Return what was loaded of a running model; one that starts with the agent is waited for.

        Raises:
            InvalidCallError, UnknownModelError: there is none of this name.
            ModelStateError: it is not RUNNING.
        """
        model = self._require(name)
        if model.first_load is not None:
            await asyncio.wait([model.first_load], timeout=FIRST_LOAD_S)
        if model.status is not EdgeStatus.RUNNING or model.loaded is None:
            raise _wrong_state(model, "detect anomalies with")
        return model.loaded

    async def detect(self, name: str, work: Callable[[], T]) -> T:
        """Do the work of a detection in a thread, which `stop` of the model waits for.

        Raises:
            AgentBusyError: too many wait.
        """
        model = self._require(name)
        if self._waiting >= MOST_WAITING:
            raise AgentBusyError(f"{self._waiting} images wait already. Send fewer at once.")
        self._waiting += 1
        model.detections += 1
        model.idle.clear()
        future = self._detector.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end, model))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Wait for the threads; no call may come any more."""
        for task in self._tasks:
            task.cancel()
        self._detector.shutdown(cancel_futures=True)
        self._loader.shutdown(cancel_futures=True)

    def _require(self, name: str) -> EdgeModel[Loaded]:
        if not name:
            raise InvalidCallError("model_component is empty. Name a component.")
        if name not in self._models:
            self.refresh()
        try:
            return self._models[name]
        except KeyError:
            raise UnknownModelError(f"No component {name!r} is installed.") from None

    def _begin(self, model: EdgeModel[Loaded]) -> asyncio.Task[None]:
        model.status, model.message = EdgeStatus.STARTING, ""
        return self._spawn(self._start(model))

    def _replace(self, model: EdgeModel[Loaded], component: InstalledComponent) -> None:
        logger.info("component %s %s replaces another", component.name, component.version)
        model.component = component
        if model.status is EdgeStatus.RUNNING:
            self._spawn(self._start(model))

    async def _start(self, model: EdgeModel[Loaded]) -> None:
        """Load a model; once more if its component was replaced while it was loaded."""
        loop = asyncio.get_running_loop()
        while True:
            component = model.component
            loaded, problem = await loop.run_in_executor(self._loader, self._attempt, component)
            self.refresh()
            if model.component == component:
                break
        if model.status is EdgeStatus.RUNNING and loaded is None:
            model.message = f"Version {component.version} cannot be loaded: {problem}"
        elif model.status in {EdgeStatus.STARTING, EdgeStatus.RUNNING}:
            model.loaded = loaded
            model.status = EdgeStatus.RUNNING if loaded is not None else EdgeStatus.FAILED
            model.message = problem
            logger.info("model %s is %s", component.name, model.status.name)

    def _attempt(self, component: InstalledComponent) -> tuple[Loaded | None, str]:
        """Load a component in a thread; return what was loaded, or the reason why not."""
        try:
            return self._load(component), ""
        except (EdgeError, EngineError, OSError, MemoryError) as error:
            logger.warning("component %s cannot be loaded: %s", component.name, error)
            return None, str(error) or type(error).__name__
        except Exception:
            logger.exception("component %s cannot be loaded", component.name)
            return None, "The agent failed; its log says why."

    async def _stop(self, model: EdgeModel[Loaded]) -> None:
        await model.idle.wait()
        model.loaded = None
        model.status = EdgeStatus.STOPPED
        logger.info("model %s is STOPPED", model.component.name)

    def _end(self, model: EdgeModel[Loaded]) -> None:
        self._waiting -= 1
        model.detections -= 1
        if not model.detections:
            model.idle.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop alone keeps no task alive
        task.add_done_callback(self._tasks.discard)
        return task


def _wrong_state(model: EdgeModel[Loaded], action: str) -> ModelStateError:
    return ModelStateError(
        f"Model {model.component.name} is {model.status.name}; you cannot {action} it now."
    )
