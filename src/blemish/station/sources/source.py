"""What a station wants of a source."""

from __future__ import annotations

from typing import Protocol

from blemish.station.intake import Intake


class Source(Protocol):
    """Gives images, from a thread of its own. A constructor only stores."""

    @property
    def name(self) -> str:
        """The name in the configuration; no two sources share one."""
        ...

    @property
    def capacity(self) -> int:
        """Images that may wait in memory, for a source that drops none."""
        ...

    def run(self, intake: Intake) -> None:
        """Offer images until the intake stops; return within a few seconds then.

        It says by the intake whether it is connected, and connects again by itself.
        """
        ...
