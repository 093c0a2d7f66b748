"""What the server knows of a model on a cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from blemish.domain.entities import InferenceUnits
from blemish.engine.errors import BundleError
from blemish.line.channel import LineMessage
from blemish.runners.cluster.broker_process import BrokerProcess
from blemish.runners.cluster.unit_scaling import UnitScaling


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
    #: units that judge images
    ready_units: int = 0
    #: why its bundle cannot be hosted, for those who wait for units
    problem: Exception | None = None
    #: why a unit was lost, or has to wait: it is started again
    loss: str | None = None

    def exchange(self, name: str, units: InferenceUnits) -> None:
        """Have another bundle from now on, which no unit has yet."""
        self.name, self.version, self.ready_units = name, self.version + 1, 0
        self.problem = self.loss = None
        self.scaling.change(units)

    def note(self, message: LineMessage) -> None:
        """Take down what the broker says of the newest bundle."""
        match message.kind:
            case "units":
                self.ready_units = message.document["count"]
                self.problem = None if self.ready_units else self.problem
            case "refused":
                self.sent_version, self.loss = 0, message.document["reason"]  # it is sent again
            case "problem" if message.document["may_pass"]:
                self.loss = message.document["reason"]
            case "problem":
                self.problem = BundleError(message.document["reason"])
