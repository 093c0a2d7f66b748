"""The plan of one trial, on the disk before anything is sent: a kill repeats nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blemish.edge.durable_files import sync_names, write_whole_file
from blemish.station.errors import DirectoryError
from blemish.station.verdict import Verdict

PLAN_FILE = "sync.json"


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """Images that go to the server as one trial."""

    trial_name: str
    verdicts: tuple[Verdict, ...]


class PlanFile:
    """The plan in the directory of a station; there is at most one."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / PLAN_FILE

    def read(self) -> SyncPlan | None:
        """Return the plan that is not over, or None.

        Raises:
            DirectoryError: the file is none.
        """
        try:
            document = json.loads(self._path.read_text())
            verdicts = tuple(Verdict.from_json(entry) for entry in document["verdicts"])
            return SyncPlan(trial_name=document["trial_name"], verdicts=verdicts)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DirectoryError(f"{self._path} cannot be read: {error!r}. Remove it.") from None

    def write(self, trial_name: str, verdicts: Sequence[Verdict]) -> SyncPlan:
        """Store a plan durably.

        Raises:
            DirectoryError: it cannot be written.
        """
        document = {
            "trial_name": trial_name,
            "verdicts": [verdict.to_json() for verdict in verdicts],
        }
        try:
            write_whole_file(self._path, json.dumps(document).encode())
            sync_names(self._path.parent)
        except OSError as error:
            raise DirectoryError(f"{self._path} cannot be written: {error.strerror}.") from None
        return SyncPlan(trial_name=trial_name, verdicts=tuple(verdicts))

    def remove(self) -> None:
        """Remove the plan: it is over."""
        self._path.unlink(missing_ok=True)
