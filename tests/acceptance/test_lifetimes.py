"""Hundreds of random steps; `make bench` makes thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.lifetime_server import KilledServer, prepare
from tests.acceptance.lifetimes import run

pytestmark = pytest.mark.acceptance


def test_whatever_is_asked_for_and_killed_every_status_is_true(tmp_path: Path) -> None:
    prepare(tmp_path / "prepared")
    steps, starts = KilledServer.steps, KilledServer.starts

    run(tmp_path / "prepared", examples=2, steps=100)

    assert KilledServer.steps - steps > 150
    assert KilledServer.starts - starts > 6
