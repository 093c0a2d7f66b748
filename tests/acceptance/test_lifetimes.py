"""Random steps against servers that are killed; `make bench` makes thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.disturbed_servers import DisturbedServers
from tests.acceptance.lifetime_server import KilledServer, prepare
from tests.acceptance.lifetimes import run, run_on_servers
from tests.postgresql_server import postgresql_server

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


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whatever_is_killed_or_stopped_of_three_servers_every_status_is_true() -> None:
    steps_before = DisturbedServers.steps

    with postgresql_server() as postgresql:  # of its own, since it is killed
        run_on_servers(postgresql, examples=1, steps=60)

    assert DisturbedServers.steps - steps_before > 60
    assert len(DisturbedServers.disturbances) > 1
