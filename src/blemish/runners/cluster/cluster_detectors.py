"""The nodes of a Ray cluster as the place where hosted models judge images.

A broker process starts an actor for each inference unit. It may end at any time: it is started
again, and gets all models anew. Until then, detections fail with ClusterUnavailableError.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import InferenceUnits
from blemish.engine.bundle import bundle_files
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageLimits
from blemish.line.channel import LineMessage
from blemish.runners.cluster.broker_process import LOST, BrokerProcess
from blemish.runners.cluster.cluster_detector import ClusterDetector, detection_of_answer
from blemish.runners.cluster.cluster_model import ClusterModel
from blemish.runners.cluster.unavailable import ClusterUnavailableError, first_line
from blemish.runners.cluster.unit_scaling import UnitScaling
from blemish.runners.detectors import HostedDetector
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import WaitReport, no_report
from blemish.storage.errors import is_passing

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection

logger: FilteringBoundLogger = structlog.get_logger(__name__)

CONNECTING = "The broker of hosted models connects to the Ray cluster."
STOPPING = "The server stops."
STOPPED = "The model has been stopped."

LOAD_PATIENCE_S = 120.0
"""How long the least units of a model may take to start: a busy node takes half a minute."""

ANSWER_PATIENCE_S = 40.0
"""How long a detection may take, in the queue of the broker and in an actor."""

LOOK_S = 0.5
"""How often the units of all models are compared with what they are to be."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Between the end of a broker and the next one, doubled from end to end."""


class ClusterDetectors:
    """Loads detectors into actors of a cluster, through a broker that is started again."""

    def __init__(
        self,
        bundles: Bundles,
        *,
        command: Sequence[str],
        silence_s: float,
        load_patience_s: float = LOAD_PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Only store the arguments.

        Args:
            bundles: of all models.
            command: starts a broker.
            silence_s: after which a broker that says nothing is replaced.
            load_patience_s: how long the least units of a model may take to start.
            clock: monotonic, in seconds.
        """
        self._bundles = bundles
        self._command = command
        self._silence_s = silence_s
        self._load_patience_s = load_patience_s
        self._clock = clock
        self._numbers = count(1)
        self._models: dict[int, ClusterModel] = {}
        #: the one that runs, and whether it is connected
        self._process: BrokerProcess | None = None
        self._broker: BrokerProcess | None = None
        self._problem: str | None = CONNECTING
        #: of all these, and of what the models have; notified at every change
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_brokers, name="broker", daemon=True),
            threading.Thread(target=self._watch_broker, name="broker-watch", daemon=True),
            threading.Thread(target=self._look_again, name="inference-units", daemon=True),
        ]

    def start(self) -> None:
        """Start the broker."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the broker, and with it all actors."""
        self._stopping.set()
        with self._changed:
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident:
                thread.join()

    def problem(self) -> str | None:
        """Return why images cannot be judged now, or None."""
        with self._changed:
            lacking = [
                model
                for model in self._models.values()
                if model.has_started and not model.units_in_service
            ]
            if self._problem is None and lacking:
                return (
                    f"{len(lacking)} of {len(self._models)} models have no inference unit yet; "
                    f"{lacking[0].obstacle}."
                )
            return self._problem

    def load(
        self,
        name: str,
        *,
        units: InferenceUnits,
        make_room: Callable[[int], None],  # noqa: ARG002 - it takes no memory here
        instead_of: HostedDetector | None = None,
        report: WaitReport = no_report,
    ) -> ClusterDetector:
        """See `runners.detectors.DetectorLoader`; actors that are there load the new bundle."""
        files = bundle_files(self._bundles.read(name))  # nothing has changed if that fails
        if isinstance(instead_of, ClusterDetector) and not self._is_gone(instead_of.model):
            detector, model = instead_of, instead_of.model
            undo = partial(self._go_back, model, model.broker, model.name, model.scaling.bounds)
            with model.lock, self._changed:
                model.exchange(name, units)
        else:
            scaling = UnitScaling(units, clock=self._clock)
            model = ClusterModel(next(self._numbers), name, scaling)
            detector = ClusterDetector(self, model)
            undo = partial(self.unload, model)
            with self._changed:
                self._models[model.number] = model
        deadline = time.monotonic() + self._load_patience_s
        try:
            self._host(model, files)
            while not self._has_units(model, units.minimum, deadline):
                report(self._wait_reason(model, units.minimum))
        except BaseException:
            undo()
            raise
        model.has_started = True
        return detector

    def detect(
        self, model: ClusterModel, data: bytes, *, limits: ImageLimits, mixed_sizes: bool
    ) -> Detection:
        """Have an image judged; see `runners.detectors.HostedDetector`.

        Raises:
            ClusterUnavailableError: no unit judges it.
        """
        with self._changed:
            broker = model.broker
            if self._is_gone(model):
                raise ClusterUnavailableError(STOPPED)
            if broker is None or broker is not self._broker:
                problem = self._problem or (model.problem and str(model.problem)) or LOST
                raise ClusterUnavailableError(problem)
        model.scaling.begin()
        try:
            answer = broker.ask(
                {"model": model.number, "limits": asdict(limits), "mixed_sizes": mixed_sizes},
                data,
                patience_s=ANSWER_PATIENCE_S,
            )
        finally:
            model.scaling.end()
        return detection_of_answer(answer)

    def unload(self, model: ClusterModel) -> None:
        """End the units of a model when its images are judged."""
        with model.lock:
            with self._changed:
                self._models.pop(model.number, None)
                broker, model.broker = model.broker, None
                self._changed.notify_all()
            if broker is not None:
                with suppress(ClusterUnavailableError):  # it has no units any more
                    broker.send("units", {"model": model.number, "count": 0})

    def _is_gone(self, model: ClusterModel) -> bool:
        return model.number not in self._models

    def _go_back(
        self, model: ClusterModel, broker: BrokerProcess | None, name: str, units: InferenceUnits
    ) -> None:
        """Have the bundle judge again that did before an exchange that failed.

        Args:
            model: with the bundle that cannot be used.
            broker: that had the former bundle. If it has ended, nobody has that any more.
            name: of the former bundle.
            units: that the model had.
        """
        with model.lock:
            with self._changed:
                if broker is None or broker is not model.broker or self._is_gone(model):
                    return
                failed = model.version
                model.exchange(name, units)
                model.sent_version = model.version
            with suppress(ClusterUnavailableError):  # the next broker gets it
                broker.send(
                    "back", {"model": model.number, "from": failed, "version": model.version}
                )

    def _host(self, model: ClusterModel, files: Mapping[str, bytes] | None = None) -> None:
        """Hand a model to the broker that is connected, if it has not got it.

        Args:
            model: with its newest bundle.
            files: of that, if they have been read.
        """
        with model.lock:
            with self._changed:
                broker = self._broker
            sent = (model.broker, model.sent_version)
            if broker is None or sent == (broker, model.version) or self._is_gone(model):
                return
            if self._clock() < model.not_before:
                return
            files = files or bundle_files(self._bundles.read(model.name))
            units = model.scaling.units
            model.problem = model.loss = None
            # before it is sent: the broker may refuse it at once
            model.sent_version, model.sent_units = model.version, units
            sizes = {file: len(data) for file, data in files.items()}
            broker.send(
                "host",
                {
                    "model": model.number,
                    "version": model.version,
                    "units": units,
                    "files": sizes,
                },
                list(files.values()),
            )
            with self._changed:
                model.broker = broker

    def _has_units(self, model: ClusterModel, least: int, deadline: float) -> bool:
        """Return whether a model has its least units; wait for them for a moment.

        Raises:
            BundleError, StorageError: it cannot have them.
            ClusterUnavailableError: there is no cluster, or the model has been stopped.
        """
        with self._changed:
            ends_at = min(time.monotonic() + LOOK_S, deadline)
            while model.ready_units < least:
                left_s = deadline - time.monotonic()
                if self._stopping.is_set():
                    raise ClusterUnavailableError(STOPPING)
                if self._is_gone(model):
                    raise ClusterUnavailableError(STOPPED)
                if self._problem not in {None, CONNECTING}:
                    raise ClusterUnavailableError(self._problem)
                if model.problem is not None:
                    if is_passing(model.problem):
                        raise model.problem
                    raise BundleError(str(model.problem))
                if left_s <= 0 and self._problem is not None:
                    raise ClusterUnavailableError(self._problem)
                if left_s <= 0:
                    raise BundleError(
                        f"the Ray cluster has started {model.ready_units} of {least} inference "
                        f"units in {self._load_patience_s:g} s; {model.obstacle}."
                    )
                if time.monotonic() >= ends_at:
                    return False
                self._changed.wait(ends_at - time.monotonic())
            return True

    def _wait_reason(self, model: ClusterModel, least: int) -> str:
        with self._changed:
            return f"it waits for the Ray cluster. {self._problem or model.progress(least)}"

    def _run_brokers(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                was_connected, problem = self._run_broker()
            except Exception as error:  # noqa: BLE001 - there will be another broker
                was_connected, problem = False, f"The broker cannot be run: {first_line(error)}."
            with self._changed:
                self._problem = problem
                self._changed.notify_all()
            if self._stopping.is_set():
                return
            pause_s = FIRST_PAUSE_S if was_connected else min(2 * pause_s, LONGEST_PAUSE_S)
            logger.warning(
                "the broker of hosted models has ended", reason=problem, again_in_s=pause_s
            )
            self._stopping.wait(pause_s)

    def _run_broker(self) -> tuple[bool, str]:
        """Run a broker until it ends; return whether it was connected, and how it ended."""
        process = BrokerProcess(self._command, silence_s=self._silence_s)
        unavailable: str | None = None
        with self._changed:
            self._process = process
        if self._stopping.is_set():
            process.kill()
        try:
            for message in process.messages():
                with self._changed:
                    match message.kind:
                        case "connected":
                            self._broker, self._problem = process, None
                            logger.info("the broker of hosted models is connected")
                        case "away":
                            unavailable = str(message.document["reason"])
                        case _:
                            self._note(message)
                    self._changed.notify_all()
        finally:
            with self._changed:
                was_connected = self._broker is process
                self._broker = self._process = None
                for model in self._models.values():
                    model.lose_broker()
            reason = f"The broker of hosted models has ended: {process.close()}."
        return was_connected, unavailable or reason

    def _note(self, message: LineMessage) -> None:
        model = self._models.get(message.document["model"])
        if model is None:
            return
        if message.kind in {"problem", "refused"} and message.document["version"] == model.version:
            reason = message.document["reason"]
            logger.warning("an inference unit failed", bundle=model.name, reason=reason)
        model.note(message, now=self._clock())

    def _watch_broker(self) -> None:
        """End a broker that hangs; this thread waits for nothing else."""
        while not self._stopping.wait(LOOK_S):
            with self._changed:
                process, is_connected = self._process, self._broker is not None
            if process is not None:
                process.end_if_stuck(is_connected=is_connected)

    def _look_again(self) -> None:
        """Hand models to a new broker, and change the number of their units, again and again."""
        while not self._stopping.wait(LOOK_S):
            with self._changed:
                models = list(self._models.values())
            for model in models:
                version = model.version
                try:
                    self._host(model)
                    self._scale(model)
                except ClusterUnavailableError:
                    break  # the next broker gets them all
                except Exception as error:  # noqa: BLE001 - the others go on, and it is tried again
                    self._delay(model, error, version=version)

    def _delay(self, model: ClusterModel, error: Exception, *, version: int) -> None:
        """Let a model wait that could not be handed over, unless it has another bundle now."""
        with self._changed:
            if model.version != version:
                return
            model.problem = error
            pause_s = model.delay(now=self._clock())
            self._changed.notify_all()
        logger.warning(
            "a model cannot be handed to the broker",
            bundle=model.name,
            reason=first_line(error),
            again_in_s=pause_s,
        )

    def _scale(self, model: ClusterModel) -> None:
        with model.lock:
            broker, wanted = model.broker, model.scaling.wanted(model.ready_units)
            if broker is None or wanted == model.sent_units:
                return
            logger.info("inference units change", bundle=model.name, units=wanted)
            broker.send("units", {"model": model.number, "count": wanted})
            model.sent_units = wanted
