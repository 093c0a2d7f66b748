"""This machine as a runner of trainings: a process for each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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


class LocalTrainings:
    """Runs each training in its own process, which dies with this one."""

    def __init__(self, *, silence_s: float, command: Sequence[str] = PROCESS) -> None:
        #: a process that reports nothing for this time counts as lost
        self._silence_s = silence_s
        self._command = command
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def train(
        self, spec: TrainingSpec, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """See `service.training_runner.TrainingRunner`."""
        with self._process(spec) as process:
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

    def stop(self) -> None:
        """End every training; their rows stay in TRAINING and continue at the next start."""
        self._stopping.set()
        with self._lock:
            for process in self._processes:
                process.kill()

    def _interruption(self, process: subprocess.Popen[bytes]) -> TrainingInterruptedError:
        """Return the error of a process without a result; an orderly stop does not count."""
        if self._stopping.is_set():
            return TrainingInterruptedError("the server stops.", counts=False)
        return TrainingInterruptedError(ending(process))

    @contextmanager
    def _process(self, spec: TrainingSpec) -> Iterator[subprocess.Popen[bytes]]:
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
        try:
            assert process.stdin is not None
            # The pipe stays open: the process ends when it is closed.
            process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
            process.stdin.flush()
            yield process
        except BrokenPipeError:
            raise self._interruption(process) from None
        finally:
            process.kill()
            process.communicate()
            with self._lock:
                self._processes.discard(process)
