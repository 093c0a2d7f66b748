"""Refuses operations that write, while the disk has no room or cannot be written."""

from __future__ import annotations

from blemish.storage.disk import Disk
from blemish.wire.calls import Call
from blemish.wire.errors import InsufficientStorageError, ServiceUnavailableError

READS = ("Describe", "Detect", "Get", "Head", "List", "Validate")
DELETIONS = ("Abort", "Cancel", "Delete", "Stop", "Untag")


class StorageGate:
    """A gate: reads always pass, deletions may use the reserve, and the rest needs room."""

    def __init__(self, disk: Disk, *, problem: str | None) -> None:
        self._disk = disk
        #: why nothing could be written at the start; reads and detections still work
        self._problem = problem

    def __call__(self, call: Call) -> None:
        """Let a call pass.

        Raises:
            InsufficientStorageError: the disk is nearly full.
            ServiceUnavailableError: the server was started on a disk that cannot be written.
        """
        operation = call.operation or ""
        if operation.startswith(READS):
            return
        if self._problem is not None:
            raise ServiceUnavailableError(
                f"The server only reads, and runs the models that were hosted: {self._problem}. "
                "Mend that, and start the server again."
            )
        if operation.startswith(DELETIONS):
            self._disk.make_room()
        elif self._disk.is_low:
            raise InsufficientStorageError(
                f"The server has no room on its disk: {self._disk.free_bytes} bytes are free, and "
                f"{self._disk.reserve_bytes} are kept for deletions. Nothing was changed. "
                "Delete what is not needed, or make room."
            )
