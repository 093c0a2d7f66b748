from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from blemish.domain.entities import InferenceUnits, Model, ModelStatus, ObjectRef
from blemish.domain.errors import ResourceNotFoundError
from blemish.domain.limits import MIB
from blemish.engine.errors import BundleError
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import (
    DELETED_LATER,
    DELETION_RIGHT,
    RETRIED,
    HostingWork,
)
from blemish.storage.errors import (
    EncryptionError,
    KeyUnavailableError,
    SealBrokenError,
    StoreWriteError,
)
from blemish.storage.objects.store import ObjectStore
from blemish.storage.shared.folders import SharedFolders
from tests.unit.fakes import FakeHosting
from tests.unit.house import LEASE, ONE_UNIT, House
from tests.unit.storage.shared_folders import shared_folders

S = ModelStatus
MORE_UNITS = InferenceUnits(minimum=2, maximum=3)


@pytest.fixture
def runner() -> FakeHosting:
    return FakeHosting()


@pytest.fixture
def work(house: House, runner: FakeHosting) -> HostingWork:
    house.project()
    house.images(normal=15)
    return house.hosting_work(runner)


def shared_work(
    house: House, runner: FakeHosting, *, bundles: SharedFolders | None = None
) -> HostingWork:
    """Return the work of one of several servers."""
    return HostingWork(
        house.database,
        runner=runner,
        stored_files=house.stored_files,
        bundles=house.bundles if bundles is None else sharing_bundles(house, bundles),
        now=house.clock,
        is_shared=True,
    )


def sharing_bundles(house: House, folders: SharedFolders) -> Bundles:
    return Bundles(
        house.directory.bundles,
        staging=house.directory.staging,
        encryption=house.encryption,
        shared=folders,
    )


def carry_out(house: House, work: HostingWork, model: Model) -> Model:
    work.carry_out(model, attempt=house.claim_model(model))
    return house.described(model)


@pytest.mark.parametrize("status", [S.STARTING_HOSTING, S.SYSTEM_UPDATING])
def test_a_model_is_loaded_and_then_hosted(
    house: House, work: HostingWork, runner: FakeHosting, status: ModelStatus
) -> None:
    model = house.trained(status)

    found = carry_out(house, work, model)

    assert (found.status, found.status_message) == (S.HOSTED, "The model is running.")
    assert found.units == ONE_UNIT
    assert runner.loaded == {model.id: (model.bundle, ONE_UNIT, found.attempt)}


@pytest.mark.parametrize("status", [S.STARTING_HOSTING, S.SYSTEM_UPDATING])
@pytest.mark.parametrize("damage", [BundleError, KeyUnavailableError, SealBrokenError])
def test_a_bundle_that_cannot_be_loaded_is_the_reason(
    house: House,
    work: HostingWork,
    runner: FakeHosting,
    status: ModelStatus,
    damage: type[BundleError | EncryptionError],
) -> None:
    runner.damage = damage("The checksum of model.onnx is wrong.")
    model = house.trained(status)

    found = carry_out(house, work, model)

    assert found.status is S.HOSTING_FAILED
    assert found.status_message == (
        f"The model could not be started: The checksum of model.onnx is wrong. {RETRIED}"
    )
    assert runner.loaded == {}


def test_a_hosted_model_that_cannot_be_moved_goes_on_answering_and_is_tried_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    first = carry_out(house, work, model)
    answering = dict(runner.loaded)
    house.put_into(model, S.SYSTEM_UPDATING)
    runner.damage = KeyUnavailableError("The key is away.")

    for failures in (1, 2):
        model = carry_out(house, work, house.described(model))

        assert model.status is S.SYSTEM_UPDATING
        reason = f"The model could not be updated: The key is away. {RETRIED}"
        assert (model.status_message, model.hosting_failures) == (reason, failures)
        assert model.not_before == house.clock() + timedelta(seconds=failures)
        assert runner.loaded == answering
    with house.database.reading() as rows:
        assert rows.models.waiting_for_hosting() == [model]
    runner.damage = None
    found = carry_out(house, work, model)
    assert (found.status, found.not_before, found.hosting_failures) == (S.HOSTED, None, 0)
    assert runner.loaded[model.id][2] == found.attempt > first.attempt


def test_a_failed_update_without_a_unit_that_answers_is_a_failed_start(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    carry_out(house, work, model)
    house.put_into(model, S.SYSTEM_UPDATING)
    runner.damage = BundleError("No node has a GPU.")
    runner.units = 0  # they were lost

    found = carry_out(house, work, house.described(model))

    assert found.status is S.HOSTING_FAILED
    assert runner.loaded == {}


def test_a_failed_update_is_tried_again_at_once_after_a_restart(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    carry_out(house, work, model)
    house.put_into(model, S.SYSTEM_UPDATING)
    runner.damage = KeyUnavailableError("The key is away.")
    for _ in range(9):
        model = carry_out(house, work, house.described(model))
    runner.loaded.clear()

    work.begin()

    assert house.described(model).not_before == house.clock()
    assert carry_out(house, work, model).status is S.HOSTING_FAILED


def test_beside_other_servers_a_failed_update_leaves_those_answering_that_have_the_model(
    house: House, runner: FakeHosting
) -> None:
    house.project()
    house.images(normal=15)
    runner.damage = KeyUnavailableError("The keyring was not copied.")

    found = carry_out(house, shared_work(house, runner), house.trained(S.SYSTEM_UPDATING))

    assert found.status is S.SYSTEM_UPDATING
    assert "The keyring was not copied." in found.status_message


def test_a_hosted_model_answers_as_before_until_it_is_moved(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    first = carry_out(house, work, model)
    with house.database.writing() as rows:
        rows.models.move(
            model.id,
            sources=[S.HOSTED],
            target=S.SYSTEM_UPDATING,
            status_message="Moving.",
            units=MORE_UNITS,
        )
    assert runner.loaded[model.id][1:] == (ONE_UNIT, first.attempt)

    found = carry_out(house, work, house.described(model))

    assert (found.status, found.units) == (S.HOSTED, MORE_UNITS)
    assert runner.loaded[model.id][1:] == (MORE_UNITS, found.attempt)


def test_a_model_that_failed_can_be_started_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    runner.damage = BundleError("The disk is away.")
    model = house.trained(S.STARTING_HOSTING)
    carry_out(house, work, model)
    runner.damage = None

    house.models.start("circuits", "1", units=ONE_UNIT)

    assert carry_out(house, work, house.described(model)).status is S.HOSTED


def test_a_stopped_model_is_unloaded_and_trained_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    carry_out(house, work, model)
    house.models.stop("circuits", "1")

    found = carry_out(house, work, house.described(model))

    assert (found.status, found.status_message) == (S.TRAINED, "The model was stopped.")
    assert found.units is None
    assert found.performance == model.performance
    assert runner.loaded == {}


def test_after_a_start_what_was_hosted_is_to_be_loaded_again(
    house: House, work: HostingWork
) -> None:
    models = {status: house.trained(status) for status in S}

    work.begin()

    found = {status: house.described(model) for status, model in models.items()}
    assert found[S.HOSTED].status is S.SYSTEM_UPDATING
    assert found[S.HOSTED].status_message == "The model is being loaded again after a restart."
    assert found[S.HOSTED].units == ONE_UNIT
    assert all(found[status] == models[status] for status in S if status is not S.HOSTED)


def test_after_a_start_only_what_fits_into_memory_is_loaded_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    models = [house.trained(S.HOSTED) for _ in range(3)]
    runner.room = 2

    work.begin()

    statuses = [house.described(model).status for model in models]
    assert statuses == [S.HOSTED, S.SYSTEM_UPDATING, S.SYSTEM_UPDATING]


def test_a_start_beside_other_servers_leaves_hosted_models_alone(
    house: House, runner: FakeHosting
) -> None:
    house.project()
    house.images(normal=15)
    model = house.trained(S.HOSTED)

    shared_work(house, runner).begin()

    assert house.described(model) == model


def test_what_other_servers_have_stopped_or_deleted_is_unloaded(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    hosted, starting, stopped = (
        house.trained(status) for status in (S.HOSTED, S.STARTING_HOSTING, S.TRAINED)
    )
    for model in (hosted, starting, stopped):
        runner.load(model.id, "", units=ONE_UNIT, attempt=1)
    runner.load(stopped.id + 1, "", units=ONE_UNIT, attempt=1)

    work.unload_outdated(house.clock())

    assert set(runner.loaded) == {hosted.id, starting.id}


def test_a_deleted_model_leaves_its_evaluation_files_alone(house: House, work: HostingWork) -> None:
    model = house.trained()
    house.put("out/EvaluationResult-circuits-1.json")
    house.models.delete("circuits", "1")

    work.carry_out(house.described(model), attempt=house.claim_model(model))

    with pytest.raises(ResourceNotFoundError):
        house.described(model)
    assert list(house.directory.bundles.iterdir()) == []
    assert list(house.directory.staging.iterdir()) == []
    assert house.stored_names() == set()
    assert model.evaluation_result is not None
    assert house.objects.read(model.evaluation_result, max_bytes=MIB)


def test_a_model_that_never_had_a_bundle_is_deleted(house: House, work: HostingWork) -> None:
    model = house.model(S.DELETING)

    work.carry_out(model, attempt=house.claim_model(model))

    assert house.models.page("circuits", token=None) == ([], None)


def test_a_deletion_that_was_cut_off_is_done_again(house: House, work: HostingWork) -> None:
    model = house.trained(S.DELETING)
    house.stored_files.delete(model.entries)
    assert model.bundle is not None
    (house.directory.bundles / model.bundle / "model.onnx").unlink()
    (house.directory.bundles / model.bundle).rmdir()

    work.carry_out(model, attempt=house.claim_model(model))

    assert house.models.page("circuits", token=None) == ([], None)


@pytest.mark.parametrize(
    ("status", "beginning"),
    [
        (S.STARTING_HOSTING, "The model is starting"),
        (S.SYSTEM_UPDATING, "The model is being loaded"),
    ],
)
def test_a_load_that_waits_says_what_for(
    house: House, work: HostingWork, runner: FakeHosting, status: ModelStatus, beginning: str
) -> None:
    model = house.trained(status)
    messages = []
    runner.waits = ("no CPU is free.", "still none.")
    runner.meanwhile = lambda: messages.append(house.described(model).status_message)

    found = carry_out(house, work, model)

    assert found.status is S.HOSTED
    assert messages[1:] == [f"{beginning}: no CPU is free.", f"{beginning}: still none."]


def test_a_stop_ends_a_load_that_waits(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.SYSTEM_UPDATING)
    runner.waits = ("no CPU is free.", "still none.")
    runner.meanwhile = lambda: house.models.stop("circuits", "1")

    found = carry_out(house, work, model)

    assert (found.status, runner.loaded) == (S.STOPPING_HOSTING, {})
    assert carry_out(house, work, found).status is S.TRAINED


class RefusingStore(ObjectStore):
    """An S3 that denies deletions."""

    def delete(self, ref: ObjectRef) -> None:
        raise StoreWriteError(f"{ref} cannot be deleted (the store at http://s3 says: no).")


@pytest.mark.usefixtures("work")
def test_a_deletion_that_the_s3_denies_says_so_until_it_succeeds(
    house: House, tmp_path: Path
) -> None:
    model = house.trained(S.DELETING)
    assert model.bundle is not None
    shared = shared_folders(tmp_path, "a")
    shared.write(model.bundle, "model.onnx", b"x")
    refusing = shared_folders(tmp_path, "a", store=RefusingStore)
    denied = shared_work(house, FakeHosting(), bundles=refusing)
    allowed = shared_work(house, FakeHosting(), bundles=shared)

    refused = carry_out(house, denied, model)
    house.clock.advance(1)
    again = carry_out(house, denied, refused)

    assert refused.status is again.status is S.DELETING
    assert refused.interruptions == again.interruptions == 0
    assert refused.status_message == (
        f"The model could not be deleted yet: s3://files/plant/1/bundles/{model.bundle}/folder.json"
        f" cannot be deleted (the store at http://s3 says: no). {DELETION_RIGHT} {DELETED_LATER}"
    )
    assert again.not_before == house.clock() + timedelta(seconds=2)
    allowed.carry_out(again, attempt=house.claim_model(again))
    assert house.models.page("circuits", token=None) == ([], None)
    assert shared.names() == {}


def test_a_model_that_is_stopped_while_it_loads_is_unloaded(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.SYSTEM_UPDATING)
    runner.meanwhile = lambda: house.models.stop("circuits", "1")

    found = carry_out(house, work, model)

    assert found.status is S.STOPPING_HOSTING
    assert runner.loaded == {}


def test_a_stale_attempt_does_not_unload_what_a_later_one_loaded(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    stale = house.claim_model(model)
    house.clock.advance(LEASE.total_seconds())
    later = house.claim_model(model)

    def load_again() -> None:
        runner.meanwhile = lambda: None
        work.carry_out(model, attempt=later)

    runner.meanwhile = load_again
    work.carry_out(model, attempt=stale)
    work.give_up(model, attempt=stale, reason="it is late")

    assert house.described(model).status is S.HOSTED
    assert runner.loaded[model.id][2] == later


def test_a_start_that_is_given_up_has_failed(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    attempt = house.claim_model(model)
    runner.load(model.id, "1-1", units=ONE_UNIT, attempt=attempt)

    work.give_up(model, attempt=attempt, reason="no memory.")

    found = house.described(model)
    assert found.status is S.HOSTING_FAILED
    assert found.status_message == f"The model could not be started: no memory. {RETRIED}"
    assert runner.loaded == {}


@pytest.mark.parametrize("status", [S.STOPPING_HOSTING, S.DELETING])
def test_what_must_end_is_not_given_up_but_tried_again(
    house: House, work: HostingWork, status: ModelStatus
) -> None:
    model = house.trained(status)
    attempt = house.claim_model(model)

    work.give_up(model, attempt=attempt, reason="the disk is away.")

    assert house.described(model).status is status
    house.clock.advance(LEASE.total_seconds())
    assert house.claim_model(model) == attempt + 1


def test_a_start_that_failed_is_tried_again_with_growing_pauses(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    runner.damage = KeyUnavailableError("The key is away.")
    model = house.trained(S.STARTING_HOSTING)
    pauses = []
    for _ in range(12):
        model = carry_out(house, work, model)
        assert model.not_before is not None
        pauses.append((model.not_before - house.clock()).total_seconds())
    with house.database.reading() as rows:
        down = rows.models.waiting_for_hosting()
    runner.damage = None

    found = carry_out(house, work, model)

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert down == [model]
    assert found.status is S.HOSTED
    assert (found.hosting_failures, found.not_before) == (0, None)


def test_a_stopped_model_is_not_tried_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    runner.damage = KeyUnavailableError("The key is away.")
    carry_out(house, work, house.trained(S.STARTING_HOSTING))

    house.models.stop("circuits", "1")
    found = carry_out(house, work, house.models.describe("circuits", "1"))

    assert (found.status, found.not_before) == (S.TRAINED, None)


def test_after_a_restart_a_failed_start_is_tried_again_at_once(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    runner.damage = KeyUnavailableError("The key is away.")
    model = house.trained(S.STARTING_HOSTING)
    for _ in range(9):
        model = carry_out(house, work, model)

    work.begin()

    assert house.described(model).not_before == house.clock()


def test_a_model_during_whose_load_the_server_ended_twice_is_not_loaded_again(
    house: House, work: HostingWork, runner: FakeHosting
) -> None:
    model = house.trained(S.STARTING_HOSTING)
    for _ in range(2):
        house.claim_model(model)
        with house.database.writing() as rows:
            rows.work.interrupt_all(house.clock())

    found = carry_out(house, work, house.described(model))

    assert found.status is S.HOSTING_FAILED
    assert "the server ended 2 times while it loaded the model" in found.status_message
    assert found.not_before is None
    assert runner.loaded == {}
    house.models.start("circuits", "1", units=ONE_UNIT)
    assert carry_out(house, work, house.described(model)).status is S.HOSTED
