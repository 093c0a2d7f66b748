"""Random steps against servers that are killed; `make bench` makes thousands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from blemish.domain.entities import ModelStatus
from tests.acceptance.disturbed_servers import DisturbedServers
from tests.acceptance.lifetime_rows import FAILED_BY_KILLS, ModelRow
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


def hosted_model() -> ModelRow:
    """Return a model that was started and seen HOSTED."""
    model = ModelRow(name="plates/1", status=ModelStatus.TRAINED)
    model.ask(ModelStatus.STARTING_HOSTING)
    model.see(ModelStatus.HOSTED)
    return model


def killed(model: ModelRow, *, statuses: Iterable[str | None]) -> None:
    """Kill the server so many times; None if nobody sees a status after its next start."""
    for status in statuses:
        model.note_kill()
        model.note_start()
        if status is not None:
            model.see(status)


def test_kills_of_a_model_that_was_seen_hosted_are_no_reason_to_fail() -> None:
    model = hosted_model()

    killed(model, statuses=["HOSTED", "HOSTED", "HOSTED", "SYSTEM_UPDATING"])

    with pytest.raises(AssertionError, match="failed to start"):
        model.see(ModelStatus.HOSTING_FAILED, message=FAILED_BY_KILLS)


def test_two_kills_that_may_have_met_a_load_are_the_reason_that_must_be_told() -> None:
    model = hosted_model()
    unseen = hosted_model()

    killed(model, statuses=["SYSTEM_UPDATING", "SYSTEM_UPDATING", "SYSTEM_UPDATING"])
    killed(unseen, statuses=[None] * 3)

    unseen.see(ModelStatus.HOSTING_FAILED, message=f"It could not be: {FAILED_BY_KILLS}, perhaps.")
    with pytest.raises(AssertionError, match="and says an internal error"):
        model.see(ModelStatus.HOSTING_FAILED, message="an internal error")


def test_a_start_and_a_load_that_succeeds_begin_the_count_anew() -> None:
    loaded, started = hosted_model(), hosted_model()

    killed(loaded, statuses=["SYSTEM_UPDATING", "SYSTEM_UPDATING", "HOSTED", "SYSTEM_UPDATING"])
    killed(started, statuses=["SYSTEM_UPDATING", "SYSTEM_UPDATING", "HOSTING_FAILED"])
    started.ask(ModelStatus.STARTING_HOSTING, amid_kill=True)

    for model in (loaded, started):
        with pytest.raises(AssertionError, match="failed to start"):
            model.see(ModelStatus.HOSTING_FAILED, message=FAILED_BY_KILLS)


def test_an_answer_ends_the_first_load_and_no_later_one() -> None:
    started, updated = hosted_model(), hosted_model()
    started.ask(ModelStatus.STOPPING_HOSTING)
    started.ask(ModelStatus.STARTING_HOSTING)

    started.see_answer()
    killed(updated, statuses=["SYSTEM_UPDATING"])
    updated.see_answer()

    assert (started.status, updated.status) == ("HOSTED", "SYSTEM_UPDATING")
    with pytest.raises(AssertionError, match="was HOSTED, is SYSTEM_UPDATING"):
        started.see(ModelStatus.SYSTEM_UPDATING)
