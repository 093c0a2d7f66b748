"""Random steps against servers that are killed; `make bench` makes thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.lifetime_server import KilledServer, prepare
from tests.acceptance.lifetimes import run

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(
    ("examples", "steps"), [(1, 80), pytest.param(4, 100, marks=pytest.mark.slow)]
)
def test_whatever_is_asked_for_and_killed_every_status_is_true(
    tmp_path: Path, examples: int, steps: int
) -> None:
    prepare(tmp_path / "prepared")
    steps_before, starts_before = KilledServer.steps, KilledServer.starts

    run(tmp_path / "prepared", examples=examples, steps=steps)

    assert KilledServer.steps - steps_before > 0.7 * examples * steps
    assert KilledServer.starts - starts_before > examples
