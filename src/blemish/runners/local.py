"""This machine as a runner of trainings: a process for each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from blemish.runners.child_process import (
    SilentProcessError,
    child_environment,
    ending,
    messages,
)
from blemish.service.training.runner import (
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSpec,
)

PROCESS = (sys.executable, "-m", "blemish.runners.training_process")


IDLE_S = 30.0
"""How long an idle process may get another training; the process itself waits twice as long."""


class LocalTrainings:
    """Runs each training in its own process, which dies with this one."""

    def __init__(
        self, *, silence_s: float, command: Sequence[str] = PROCESS, keep: bool = False
    ) -> None:
        """Run no training yet.

        Args:
            silence_s: a process that reports nothing for this time counts as lost.
            command: of the process.
            keep: whether a process that has ended a training may get the next one.
        """
        self._silence_s = silence_s
        self._command = command
        self._keep = keep
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        #: those that wait for a training, the newest last, and since when
        self._idle: list[tuple[subprocess.Popen[bytes], float]] = []

    def train(
        self, spec: TrainingSpec, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """See `service.training_runner.TrainingRunner`."""
        process = self._process_with(spec)
        try:
            result = self._result(process, report=report)
        except BaseException:
            self._end(process)
            raise
        if self._keep:
            with self._lock:
                self._idle.append((process, time.monotonic()))
        else:
            self._end(process)
        return result

    def stop(self) -> None:
        """End every training; their rows stay in TRAINING and continue at the next start."""
        self._stopping.set()
        with self._lock:
            for process in self._processes:
                process.kill()
            idle, self._idle = self._idle, []
        for process, _ in idle:
            self._end(process)

    def _result(
        self, process: subprocess.Popen[bytes], *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        assert process.stdout is not None
        try:
            for message in messages(process.stdout, silence_s=self._silence_s):
                match message:
                    case {"trained": result}:
                        return TrainingResult(**result)
                    case {"failed": reason, **details}:
                        return TrainingFailure(
                            reason=reason, problems=tuple(details.get("problems", ()))
                        )
                    case {"interrupted": reason}:
                        raise TrainingInterruptedError(reason, counts=False)
                    case {"progress": text}:
                        report(text)
                    case _:
                        report(None)
        except SilentProcessError as error:
            raise TrainingInterruptedError(str(error)) from None
        raise self._interruption(process)

    def _interruption(self, process: subprocess.Popen[bytes]) -> TrainingInterruptedError:
        """Return the error of a process without a result; an orderly stop does not count."""
        if self._stopping.is_set():
            return TrainingInterruptedError("the server stops.", counts=False, waits=False)
        return TrainingInterruptedError(ending(process))

    def _process_with(self, spec: TrainingSpec) -> subprocess.Popen[bytes]:
        """Return a process that has the spec: one that waits for it, or a new one."""
        line = json.dumps(asdict(spec)).encode() + b"\n"
        while (process := self._waiting()) is not None:
            try:
                _send(process, line)
            except BrokenPipeError:  # its cluster may be gone
                self._end(process)
            else:
                return process
        process = self._started(spec)
        try:
            _send(process, line)
        except BrokenPipeError:
            interruption = self._interruption(process)
            self._end(process)
            raise interruption from None
        return process

    def _waiting(self) -> subprocess.Popen[bytes] | None:
        """Return a process that waits, if there is one; end those that have waited for long."""
        with self._lock:
            oldest = time.monotonic() - IDLE_S
            late = [process for process, since in self._idle if since < oldest]
            self._idle = self._idle[len(late) :]
            newest = self._idle.pop()[0] if self._idle else None
        for process in late:
            self._end(process)
        return newest

    def _started(self, spec: TrainingSpec) -> subprocess.Popen[bytes]:
        threads = str(spec.threads)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment() | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            start_new_session=True,
        )
        with self._lock:
            self._processes.add(process)
            if self._stopping.is_set():
                process.kill()
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
        with self._lock:
            self._processes.discard(process)


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Send a spec. The pipe stays open: the process ends when it is closed."""
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()
