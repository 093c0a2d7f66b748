from __future__ import annotations

from datetime import UTC, datetime

import pytest

from blemish.doctor.machine_checks import (
    GIB,
    clock_finding,
    clock_is_synchronized,
    memory_finding,
    processor_finding,
)
from blemish.doctor.report import Level

MODERN = "model name\t: A processor\nflags\t\t: ssse3 sse4_2 popcnt avx2 fma avx512f\n"
MEMORY = f"MemTotal: {8 * GIB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {6 * GIB // 1024} kB\n"


@pytest.mark.parametrize(
    ("lacking", "level"),
    [("none", Level.OK), ("avx2", Level.WARNING), ("sse4_2", Level.PROBLEM)],
)
def test_an_old_processor_is_slow_or_of_no_use(lacking: str, level: Level) -> None:
    finding = processor_finding(MODERN.replace(f" {lacking}", ""), machine="x86_64")

    assert finding.level is level
    assert "A processor" in finding.message


def test_the_features_of_an_arm_processor_are_shown() -> None:
    finding = processor_finding("Features\t: fp asimd asimddp crc32\n", machine="aarch64")

    assert finding.level is Level.OK
    assert "features: asimd asimddp" in finding.message


@pytest.mark.parametrize(
    ("limit", "level"), [(None, Level.OK), (4 * GIB, Level.OK), (GIB, Level.WARNING)]
)
def test_the_limit_of_a_container_counts_as_its_memory(limit: int | None, level: Level) -> None:
    finding = memory_finding(MEMORY, limit=limit)

    assert finding.level is level
    assert ("limited by the control group" in finding.message) is (limit is not None)


@pytest.mark.parametrize(
    ("synchronized", "level"), [(True, Level.OK), (None, Level.OK), (False, Level.WARNING)]
)
def test_a_clock_that_nothing_keeps_right_is_a_warning(
    synchronized: bool | None, level: Level
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    assert clock_finding(moment, is_synchronized=lambda: synchronized).level is level


def test_the_kernel_says_whether_the_clock_is_synchronized() -> None:
    assert clock_is_synchronized() in {True, False, None}
