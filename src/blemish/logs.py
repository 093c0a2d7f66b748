"""What the server says of itself: one line an event, for people or for programs.

Every line goes one way, whether structlog made it or a library's standard logger: through one
handler, in one format. Tracebacks show no variables, which may hold secrets.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

logger: FilteringBoundLogger = structlog.get_logger(__name__)

QUIET = {"alembic": logging.WARNING, "botocore": logging.WARNING, "uvicorn": logging.WARNING}
"""Libraries that say at INFO what nobody asked for."""


def configure_logs(*, log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Have every log of this process written to a stream, standard error if none is given.

    Args:
        log_format: `console`, `json`, or `auto`: `console` on a terminal and `json` elsewhere.
        level: the least that our own loggers write, in lower case; of libraries nothing below
            INFO is written, since some tell what they send and receive.
        stream: where lines go.
    """
    stream = stream or sys.stderr
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    ours = logging.getLevelNamesMapping()[level.upper()]
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(log_format, colors=stream.isatty()),
            ],
        )
    )
    logging.basicConfig(level=max(ours, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("blemish").setLevel(ours)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(ours, least))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _rendering(log_format: str, *, colors: bool) -> list[Processor]:
    if log_format == "console":
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors,
                timestamp_key="time",
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    return [
        structlog.processors.format_exc_info,
        _with_usual_fields_first,
        structlog.processors.JSONRenderer(),
    ]


def _with_usual_fields_first(_: object, __: str, event: EventDict) -> EventDict:
    usual = ("time", "level", "logger", "event")
    return {name: event[name] for name in usual} | dict(event)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, at: TracebackType | None
) -> None:
    if issubclass(kind, Exception):
        logger.critical("nobody caught an error", exc_info=(kind, error, at))


def _log_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value is not None:
        _log_uncaught(uncaught.exc_type, uncaught.exc_value, uncaught.exc_traceback)
