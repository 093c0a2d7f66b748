"""A training as a process: a job on standard input, progress and a result on standard output.

It opens no database, and ends when standard input does, which its parent holds open: so it cannot
outlive the server that started it. Every message is one JSON line: `progress`, `alive`, and last
`trained` or `failed`. It says that it is alive before it imports what takes long.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from blemish.engine.errors import EngineError
from blemish.engine.training.labeled_images import Progress
from blemish.storage.errors import StorageError

HEARTBEAT_S = 1.0
ORPHANED = 3
NICENESS = 10
"""Detection goes before; beside other busy programs a training still gets a tenth of a core."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Reporter:
    """Writes messages to the parent, progress at most once a second, a sign of life always."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text: str | None = None

    def progress(self, progress: Progress) -> None:
        """Note how far a step has come; the next heartbeat says it."""
        share = progress.done / progress.total if progress.total else 1.0
        self._text = f"{progress.step}, {share:.0%}"

    def beat(self) -> None:
        """Say forever, once a second, how far it has come, or only that it goes on."""
        while True:
            text, self._text = self._text, None
            self.send({"progress": text} if text else {"alive": True})
            time.sleep(HEARTBEAT_S)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; without a parent to read it, end the process."""
        with self._lock:
            try:
                sys.stdout.write(json.dumps(message) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                os._exit(ORPHANED)


def main() -> None:
    """Train as the first line of standard input says."""
    os.nice(NICENESS)
    line = sys.stdin.readline()
    if not line:
        os._exit(ORPHANED)
    job = json.loads(line)
    reporter = Reporter()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=reporter.beat, daemon=True).start()
    from structlog.contextvars import bind_contextvars

    from blemish.logs import configure_logs
    from blemish.runners.training_job import carry_out
    from blemish.service.training.runner import TrainingJob

    configure_logs(log_format=job["log_format"], level=job["log_level"])
    bind_contextvars(project=job["project"], version=job["version"], attempt=job["attempt"])
    try:
        result = carry_out(TrainingJob(**job), progress=reporter.progress)
    except (EngineError, StorageError) as error:
        reporter.send({"failed": str(error)})
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        reporter.send({"failed": f"there is no room to write what it made ({error.strerror})."})
    else:
        reporter.send({"trained": asdict(result)})


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing more is sent: this returns when the pipe ends
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
