"""Checks of the machine: system, processor, memory and clock."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from blemish.doctor.report import Finding, Level

GIB = 2**30
LEAST_MEMORY = 2 * GIB
"""A server and one training of a small product."""

_X86_NEEDED = frozenset({"sse4_2", "popcnt", "ssse3"})
"""Features of x86-64-v2, which the wheels of numpy need."""

_FAST = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
)
_NOT_SYNCHRONIZED = 5
_TIMEX_BYTES = 256


def machine_findings(
    *, now: datetime, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")
) -> Iterator[Finding]:
    """Yield what the machine is, and what about it stands in the way."""
    yield _system()
    yield processor_finding((proc / "cpuinfo").read_text(), machine=platform.machine())
    yield memory_finding((proc / "meminfo").read_text(), limit=_memory_limit(cgroup))
    yield clock_finding(now, is_synchronized=clock_is_synchronized)


def _system() -> Finding:
    message = f"{platform.platform()}, Python {platform.python_version()} ({sys.executable})"
    if sys.platform == "linux":
        return Finding(topic="system", level=Level.OK, message=message)
    remedy = "Blemish runs on Linux; on Windows, through WSL2."
    return Finding(topic="system", level=Level.PROBLEM, message=message, remedy=remedy)


def processor_finding(cpuinfo: str, *, machine: str) -> Finding:
    """Return what the processor lacks, by the text of /proc/cpuinfo."""
    fields = {}
    for line in cpuinfo.splitlines():
        field, _, value = line.partition(":")
        fields[field.strip()] = value.strip()
    features = set((fields.get("flags") or fields.get("Features") or "").split())
    name = fields.get("model name", machine)
    cores = len(os.sched_getaffinity(0))
    shown = " ".join(feature for feature in _FAST if feature in features) or "none of note"
    message = f"{name}, {cores} of {os.cpu_count()} cores usable; features: {shown}"
    if machine == "x86_64" and features and (missing := sorted(_X86_NEEDED - features)):
        return Finding(
            topic="processor",
            level=Level.PROBLEM,
            message=f"{message}. It lacks {', '.join(missing)}, which numpy needs.",
            remedy="In a virtual machine, pass the processor of its host through.",
        )
    if machine == "x86_64" and features and "avx2" not in features:
        return Finding(
            topic="processor",
            level=Level.WARNING,
            message=f"{message}. Without avx2, detections take several times as long.",
            remedy="In a virtual machine, pass the processor of its host through.",
        )
    return Finding(topic="processor", level=Level.OK, message=message)


def memory_finding(meminfo: str, *, limit: int | None) -> Finding:
    """Return whether the memory is enough.

    Args:
        meminfo: the text of /proc/meminfo.
        limit: bytes that the control group allows, or None.
    """
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    total, available = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    usable = min(total, limit or total)
    message = f"{usable / GIB:.1f} GiB, {min(usable, available) / GIB:.1f} GiB of them free"
    if limit and limit < total:
        message += f" (limited by the control group; the machine has {total / GIB:.1f} GiB)"
    if usable < LEAST_MEMORY:
        return Finding(
            topic="memory",
            level=Level.WARNING,
            message=message,
            remedy="Trainings may be killed. Give the server 2 GiB or more.",
        )
    return Finding(topic="memory", level=Level.OK, message=message)


def clock_finding(now: datetime, *, is_synchronized: Callable[[], bool | None]) -> Finding:
    """Return whether something keeps the clock right; requests are signed with the time."""
    message = now.isoformat(timespec="seconds")
    if is_synchronized() is False:
        return Finding(
            topic="clock",
            level=Level.WARNING,
            message=f"{message}; nothing keeps the clock synchronized",
            remedy="Run a time service (systemd-timesyncd, chrony) here and on the clients: "
            "requests are refused if the clocks differ by more than BLEMISH_CLOCK_SKEW_S.",
        )
    return Finding(topic="clock", level=Level.OK, message=message)


def clock_is_synchronized() -> bool | None:
    """Tell whether the kernel counts the clock as synchronized; None if it does not say.

    Source: adjtimex(2).
    """
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONIZED


def _memory_limit(cgroup: Path) -> int | None:
    try:
        text = (cgroup / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
