"""The memory of loaded models: how much there is, and how much one takes."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from blemish.domain.limits import MIB

GRAPH_COPIES = 2
"""Bytes of memory for each byte of a graph: ONNX Runtime packs weights anew for its kernels."""

SESSION_BYTES = 3 * MIB
"""What a session takes beside its weights. Measured, see docs/notes/hosting.md."""

DEFAULT_SHARE = 0.5
"""Share of the machine's memory for loaded models."""

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def model_bytes(graph_bytes: int) -> int:
    """Return about how much memory a loaded model takes, without the images in work."""
    return GRAPH_COPIES * graph_bytes + SESSION_BYTES


def default_memory_bytes(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Return half of the memory of this machine, or of the limit that it sets to its processes."""
    total_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        text = cgroup_limit.read_text().strip()
    except OSError:
        text = ""
    limit_bytes = min(total_bytes, int(text)) if text.isdecimal() else total_bytes
    return int(limit_bytes * DEFAULT_SHARE)


def give_back_memory() -> None:
    """Give the memory of unloaded models back to the system, which glibc keeps otherwise."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
