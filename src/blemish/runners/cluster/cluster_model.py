"""What the server knows of a model on a cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from blemish.domain.attempts import pause_after
from blemish.domain.entities import InferenceUnits
from blemish.engine.errors import BundleError
from blemish.line.channel import LineMessage
from blemish.runners.cluster.broker_process import BrokerProcess
from blemish.runners.cluster.unit_scaling import UnitScaling

NO_ROOM = "perhaps no node has room"


@dataclass(eq=False)
class ClusterModel:
    """A model, what the broker was told of it, and what it said."""

    number: int
    #: of the bundle
    name: str
    scaling: UnitScaling
    #: held while the broker is told of the model, so that it hears of changes in order
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: counts the bundles that it had
    version: int = 1
    #: the broker that has the model
    broker: BrokerProcess | None = None
    #: version of the bundle that the broker has
    sent_version: int = 0
    #: units that the broker was told to have
    sent_units: int = 0
    #: units that judge images, with whatever bundle
    units_in_service: int = 0
    #: units that have the newest bundle
    ready_units: int = 0
    #: whether a start has succeeded
    has_started: bool = False
    #: why its bundle cannot be hosted, for those who wait for units
    problem: Exception | None = None
    #: why a unit was lost, or has to wait: it is started again
    loss: str | None = None
    #: what there is in the cluster for units that are not ready yet; None before the broker says it
    room: str | None = None
    #: times in a row that the broker has not got it, and when it is handed over again
    failures: int = 0
    not_before: float = 0.0

    @property
    def obstacle(self) -> str:
        """Why units are missing, for the end of a sentence."""
        return str(self.problem or self.loss or self.room or NO_ROOM).removesuffix(".")

    def progress(self, least: int) -> str:
        """Return how many of the least units are ready, and what others wait for, as sentences."""
        text = f"{self.ready_units} of {least} inference units are ready"
        known = self.loss or self.room
        return f"{text}; {known.removesuffix('.')}." if known else f"{text}."

    def exchange(self, name: str, units: InferenceUnits) -> None:
        """Have another bundle from now on, which no unit has yet."""
        self.name, self.version, self.ready_units = name, self.version + 1, 0
        self.problem = self.loss = self.room = None
        self.failures, self.not_before = 0, 0.0
        if units != self.scaling.bounds:
            self.scaling.change(units)

    def lose_broker(self) -> None:
        """Have no units; the next broker gets the model."""
        self.broker, self.sent_version, self.units_in_service, self.ready_units = None, 0, 0, 0
        self.failures, self.not_before = 0, 0.0

    def delay(self, *, now: float) -> float:
        """Let a pause pass before the model is handed to the broker again; return its seconds."""
        self.failures += 1
        pause_s = pause_after(self.failures).total_seconds()
        self.not_before = now + pause_s
        return pause_s

    def note(self, message: LineMessage, *, now: float) -> None:
        """Take down what the broker says; of an older bundle only which units are in service."""
        if message.kind == "units":
            self.units_in_service = message.document["in_service"]
        if message.document["version"] != self.version:
            return
        match message.kind:
            case "room":
                self.room = message.document["reason"]
            case "units":
                self.ready_units = message.document["count"]
                if self.ready_units:
                    self.problem, self.failures = None, 0
            case "refused":
                self.sent_version, self.loss = 0, message.document["reason"]  # it is sent again
                self.delay(now=now)
            case "problem" if message.document["may_pass"]:
                self.loss = message.document["reason"]
            case "problem":
                self.problem = BundleError(message.document["reason"])
