"""Checking a Ray cluster beside the server, which goes on answering."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.runners.child_process import child_environment

logger: FilteringBoundLogger = structlog.get_logger(__name__)

PATIENCE_S = 120.0
PAUSE_S = 300.0
PAUSE_AFTER_PROBLEM_S = 60.0

BEING_CHECKED = "it is being checked"

CHECK = (sys.executable, "-m", "blemish.runners.cluster.check_process")


class ClusterCheck:
    """Checks a cluster in a thread, at once and every few minutes; tells what is wrong."""

    def __init__(self, address: str, *, command: Sequence[str] = CHECK) -> None:
        self._address = address
        self._command = command
        self._problem: str | None = BEING_CHECKED
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="cluster-check", daemon=True)

    def start(self) -> None:
        """Start to check."""
        self._thread.start()

    def stop(self) -> None:
        """End a check that runs, and the thread."""
        self._stopping.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def problem(self) -> str | None:
        """Return what was wrong at the last check, or None."""
        return self._problem

    def check(self) -> str | None:
        """Check now; return what is wrong, or None."""
        with self._lock:
            if self._stopping.is_set():
                return self._problem
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                (*self._command, self._address),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(has_store=False),
                start_new_session=True,
            )
            self._process = process
        try:
            output, _ = process.communicate(timeout=PATIENCE_S)
            problem: str | None = json.loads(output)["problem"]
        except subprocess.TimeoutExpired:
            problem = f"The Ray cluster at {self._address} does not answer."
        except (ValueError, LookupError):
            problem = (
                f"The check of the Ray cluster at {self._address} ended with exit status "
                f"{process.wait()}."
            )
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.communicate()
        return problem

    def _run(self) -> None:
        while not self._stopping.is_set():
            problem = self.check()
            if self._stopping.is_set():
                return
            if problem != self._problem:
                if problem:
                    logger.warning("the Ray cluster cannot be used", reason=problem)
                else:
                    logger.info("the Ray cluster can be used", address=self._address)
            self._problem = problem
            self._stopping.wait(PAUSE_AFTER_PROBLEM_S if problem else PAUSE_S)
