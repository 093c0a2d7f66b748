from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from blemish.logs import configure_logs

PROGRAM = """
import sys
from structlog.contextvars import bind_contextvars
from blemish.logs import configure_logs

configure_logs(log_format="auto", level="info")
bind_contextvars(project="plates")
raise ZeroDivisionError("a fault")
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Leave logging after the test as it was before."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = (root.level, list(root.handlers))
    ours = structlog.get_config()
    yield
    structlog.configure(**ours)
    logging.captureWarnings(False)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.getLogger("blemish").setLevel(logging.NOTSET)
    sys.excepthook, threading.excepthook = hooks


def logged(
    act: Callable[[Any], object], *, log_format: str = "json", level: str = "info"
) -> list[dict[str, Any]]:
    """Return what is logged while a logger is used."""
    stream = io.StringIO()
    configure_logs(log_format=log_format, level=level, stream=stream)
    act(structlog.get_logger("blemish.test"))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_of_json_says_when_how_grave_who_and_what() -> None:
    [line] = logged(lambda logger: logger.warning("a lamp\nis out", lamp=3))

    assert list(line) == ["time", "level", "logger", "event", "lamp"]
    assert line["time"].endswith("Z")
    assert line | {"time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "blemish.test",
        "event": "a lamp\nis out",
        "lamp": 3,
    }


def test_what_a_library_logs_goes_the_same_way() -> None:
    def act(_: object) -> None:
        with structlog.contextvars.bound_contextvars(request_id="7"):
            logging.getLogger("a.library").info("listens on %s", "a port")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("an old way", DeprecationWarning, stacklevel=1)

    first, second = logged(act)

    assert {name: first[name] for name in ("level", "logger", "event", "request_id")} == {
        "level": "info",
        "logger": "a.library",
        "event": "listens on a port",
        "request_id": "7",
    }
    assert "an old way" in second["event"]


def test_below_info_libraries_say_nothing() -> None:
    def act(logger: Any) -> None:
        logger.debug("ours")
        logging.getLogger("botocore.auth").debug("a signature")

    assert [line["event"] for line in logged(act, level="debug")] == ["ours"]
    assert logged(act) == []


def test_libraries_that_say_what_nobody_asked_for_are_quiet() -> None:
    def act(_: Any) -> None:
        logging.getLogger("botocore.credentials").info("Found credentials in a file")
        logging.getLogger("botocore.credentials").warning("Refreshing them failed")

    assert [line["event"] for line in logged(act)] == ["Refreshing them failed"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variable(log_format: str) -> None:
    stream = io.StringIO()
    configure_logs(log_format=log_format, level="info", stream=stream)

    def fail(password: str) -> None:
        raise ZeroDivisionError(f"at {len(password)} letters")

    try:
        fail("".join(["s", "3", "cret"]))
    except ZeroDivisionError:
        structlog.get_logger("blemish.test").exception("it failed")

    assert "at 6 letters" in stream.getvalue()
    assert "Traceback" in stream.getvalue()
    assert "s3cret" not in stream.getvalue()


@pytest.mark.parametrize(("stream", "is_json"), [(Terminal(), False), (io.StringIO(), True)])
def test_by_default_people_read_a_terminal_and_programs_all_else(
    stream: io.StringIO, is_json: bool
) -> None:
    configure_logs(log_format="auto", level="info", stream=stream)

    structlog.get_logger("blemish.test").info("a lamp is lit")

    assert stream.getvalue().startswith("{") == is_json
    assert "a lamp is lit" in stream.getvalue()


def test_an_error_that_ends_the_process_is_one_line_too() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    line = json.loads(ended.stderr)
    assert ended.returncode == 1
    assert (line["level"], line["project"]) == ("critical", "plates")
    assert "ZeroDivisionError: a fault" in line["exception"]


def test_an_error_that_ends_a_thread_is_a_line() -> None:
    def act(_: object) -> None:
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()

    [line] = logged(act)

    assert line["level"] == "critical"
    assert "ZeroDivisionError" in line["exception"]
