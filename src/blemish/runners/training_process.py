"""A training as a process: a spec on standard input, progress and a result on standard output.

The process opens no database. It ends with standard input, which its parent holds open, so it
cannot outlive the server that started it. Every message is one JSON line: `progress`, `alive`, and
last `trained` or `failed`. The first `alive` is sent before the slow imports.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from blemish.engine.errors import EngineError, TrainingError
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.storage.errors import StorageError, is_passing, shortage

if TYPE_CHECKING:
    from blemish.service.training.runner import TrainingResult, TrainingSpec

Message: TypeAlias = dict[str, Any]

TrainingRun: TypeAlias = "Callable[[TrainingSpec, ProgressCallback], Message]"
"""Trains; returns the message that says how it ended."""

HEARTBEAT_S = 1.0
ORPHANED = 3
NICENESS = 10
"""Detection has priority; beside other busy programs a training still gets a tenth of a core."""


class Reporter:
    """Writes messages to the parent, at least and at most once a second while it works."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._text: str | None = None

    def progress(self, progress: Progress) -> None:
        """Store the progress of a step; the next heartbeat sends it."""
        share = progress.done / progress.total if progress.total else 1.0
        self._text = f"{progress.step}, {share:.0%}"

    def beat(self) -> None:
        """Send the progress, or a sign of life, once a second and forever."""
        while True:
            text, self._text = self._text, None
            self.send({"progress": text} if text else {"alive": True})
            time.sleep(HEARTBEAT_S)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; end the process if the parent is gone."""
        with self._lock:
            try:
                self._stream.write(json.dumps(message) + "\n")
                self._stream.flush()
            except BrokenPipeError:
                os._exit(ORPHANED)


def outcome(train: Callable[[], TrainingResult]) -> Message:
    """Train; return the message that says how it ended."""
    try:
        return {"trained": asdict(train())}
    except (EngineError, StorageError, OSError, MemoryError) as error:
        if is_passing(error):
            return {"interrupted": shortage(error)}
        if not isinstance(error, (EngineError, StorageError)):
            raise
        problems = error.problems if isinstance(error, TrainingError) else ()
        return {"failed": str(error), "problems": problems}


def in_this_process() -> TrainingRun:
    """Load what a training needs; return what runs it."""
    from blemish.runners.training_job import run_training

    return lambda spec, progress: outcome(lambda: run_training(spec, progress=progress))


def main(load: Callable[[], TrainingRun] = in_this_process) -> None:
    """Run the training whose spec is the first line of standard input.

    Args:
        load: does the slow imports, and returns what runs a training.
    """
    os.nice(NICENESS)
    line = sys.stdin.readline()
    if not line:
        os._exit(ORPHANED)
    document = json.loads(line)
    reporter = Reporter(_message_stream())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=reporter.beat, daemon=True).start()
    from structlog.contextvars import bind_contextvars

    from blemish.logs import configure_logs
    from blemish.service.training.runner import TrainingSpec

    run = load()
    configure_logs(log_format=document["log_format"], level=document["log_level"])
    spec = TrainingSpec.of_json(document)
    bind_contextvars(project=spec.project, version=spec.version, attempt=spec.attempt)
    reporter.send(run(spec, reporter.progress))


def _message_stream() -> TextIO:
    """Return standard output; what libraries print goes to standard error from now on."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing more is sent: this returns when the pipe ends
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
