"""A training as a process: a spec on standard input, progress and a result on standard output.

The process opens no database. Its messages are `progress`, `alive`, and last `trained` or `failed`;
see `child_process`. The first `alive` is sent before the slow imports. The driver of trainings on a
cluster takes one spec after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

from blemish.engine.errors import EngineError, TrainingError
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.runners.child_process import Message, ParentLines, reporter_on_output
from blemish.storage.errors import StorageError, is_passing, shortage

if TYPE_CHECKING:
    from blemish.service.training.runner import TrainingResult, TrainingSpec

TrainingRun: TypeAlias = "Callable[[TrainingSpec, ProgressCallback], Message]"
"""Trains; returns the message that says how it ended."""

NICENESS = 10
"""Detection has priority; beside other busy programs a training still gets a tenth of a core."""


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


def main(load: Callable[[], TrainingRun] = in_this_process, *, idle_s: float = 0.0) -> None:
    """Run the trainings whose specs are the lines of standard input, one after the other.

    Args:
        load: does the slow imports, and returns what runs a training.
        idle_s: how long to wait for another training after one that has ended.
    """
    os.nice(NICENESS)
    lines = ParentLines()
    line = lines.next()
    reporter = reporter_on_output()
    from structlog.contextvars import bind_contextvars

    from blemish.logs import configure_logs
    from blemish.service.training.runner import TrainingSpec

    run = load()
    while line is not None:
        document = json.loads(line)
        configure_logs(log_format=document["log_format"], level=document["log_level"])
        spec = TrainingSpec.of_json(document)
        reporter.begin()
        bind_contextvars(project=spec.project, version=spec.version, attempt=spec.attempt)
        reporter.end(run(spec, lambda progress: reporter.note(progress_text(progress))))
        line = lines.next(within_s=idle_s)


def progress_text(progress: Progress) -> str:
    """Return the progress of a step for a status message."""
    share = progress.done / progress.total if progress.total else 1.0
    return f"{progress.step}, {share:.0%}"


if __name__ == "__main__":
    main()
