from __future__ import annotations

import errno
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from blemish.domain.attempts import MAX_INTERRUPTIONS
from blemish.domain.detector_settings import DetectorSettings, Sensitivity, detector_change
from blemish.domain.entities import Model, ModelStatus, ObjectRef, Performance
from blemish.domain.limits import MIB, OURS
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.service.training.log import TrainingLog
from blemish.service.training.runner import (
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSpec,
)
from blemish.service.training.training import MAX_LOGGED_PROBLEMS
from blemish.storage.errors import DatabaseBusyError, DatabaseUnavailableError
from blemish.storage.objects.store import ObjectStore
from tests.unit.fakes import ENDED_AT, FakeTrainings, Report, Step, trained
from tests.unit.house import LEASE, House
from tests.unit.manifests import BUCKET
from tests.unit.service.trainings import NOTHING, left_behind, work

S = ModelStatus
MANIFEST = ObjectRef(bucket=BUCKET, key="out/EvaluationManifest-circuits-1.json")
RESULT = ObjectRef(bucket=BUCKET, key="out/EvaluationResult-circuits-1.json")
PROBLEMS = ObjectRef(bucket=BUCKET, key="out/EvaluationProblems-circuits-1.json")
SMALL = 256 * 1024


@pytest.fixture
def model(house: House) -> Model:
    house.project()
    house.images(normal=15)
    return house.model()


def failed(_job: TrainingSpec, _report: Report, *, reason: str) -> TrainingFailure:
    return TrainingFailure(reason=reason)


def interrupted(job: TrainingSpec, report: Report) -> TrainingResult:
    Path(job.folder, "half a bundle").write_bytes(b"graph")
    report("reading images, 50%")
    raise TrainingInterruptedError("the process was ended by SIGKILL")


def test_a_training_turns_the_model_to_trained(house: House, model: Model) -> None:
    attempt = house.claim_model(model)

    work(house, partial(trained, notes=("One note.", "Another."))).carry_out(model, attempt=attempt)

    found = house.described(model)
    assert found.status is S.TRAINED
    assert found.status_message == "Training completed successfully. One note. Another."
    assert found.performance == Performance(f1_score=0.5, recall=0.25, precision=0.75)
    assert (found.evaluation_manifest, found.evaluation_result) == (MANIFEST, RESULT)
    assert found.evaluation_ended_at == datetime.fromisoformat(ENDED_AT)
    assert house.objects.read(MANIFEST, max_bytes=MIB) == b"lines"
    assert house.objects.read(RESULT, max_bytes=MIB) == b"{}"
    assert found.bundle is not None
    assert left_behind(house) == NOTHING | {"bundles": [found.bundle]}
    assert (house.directory.bundles / found.bundle / "model.onnx").read_bytes() == b"graph"


def test_a_training_is_told_all_that_it_needs(house: House, model: Model) -> None:
    runner = FakeTrainings(trained)
    attempt = house.claim_model(model)

    work(house, runner=runner).carry_out(model, attempt=attempt)

    (job,) = runner.jobs
    assert job == TrainingSpec(
        entries=str(house.directory.stored_files / model.entries),
        store_connection={"folder": str(house.directory.buckets)},
        encryption_connection=house.encryption.connection,
        bundle=f"{model.id}-{attempt}",
        kms_key_id=None,
        folder=str(house.directory.attempts / f"{model.id}-{attempt}"),
        project="circuits",
        version=1,
        arn=house.arns.model("circuits", 1),
        output_bucket=BUCKET,
        output_prefix="out/",
        evaluation_keys=evaluation_keys("out/", "circuits", version=1),
        limits=OURS,
        mixed_sizes=False,
        mask_orientation=None,
        backbone=None,
        threads=2,
        attempt=attempt,
        log_format="json",
        log_level="info",
        detector_settings=DetectorSettings(),
    )


def test_a_training_has_the_settings_that_its_model_was_created_with(
    house: House, model: Model
) -> None:
    runner = FakeTrainings(trained, trained)
    change = detector_change(sensitivity="strict", mixed_sizes=True)
    house.projects.change_detector("circuits", change)
    strict = house.model()

    for each in (model, strict):
        work(house, runner=runner).carry_out(each, attempt=house.claim_model(each))

    specs = [TrainingSpec.of_json(asdict(job)) for job in runner.jobs]
    assert [spec.detector_settings for spec in specs] == [
        DetectorSettings(),
        DetectorSettings(sensitivity=Sensitivity.STRICT, mixed_sizes=True),
    ]
    assert [spec.mixed_sizes for spec in specs] == [False, True]


def test_the_folder_of_an_attempt_is_empty_at_first(house: House, model: Model) -> None:
    attempt = house.claim_model(model)
    (house.directory.attempts / f"{model.id}-{attempt}" / "remains").mkdir(parents=True)
    found: list[list[Path]] = []

    def look(job: TrainingSpec, report: Report) -> TrainingResult:
        found.append(list(Path(job.folder).iterdir()))
        return trained(job, report)

    work(house, look).carry_out(model, attempt=attempt)

    assert found == [[]]


def test_data_that_cannot_be_trained_on_is_the_reason(house: House, model: Model) -> None:
    step = partial(failed, reason="s3://images/a.png: The image is truncated.")

    work(house, step).carry_out(model, attempt=house.claim_model(model))

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert found.status_message == ("Training failed: s3://images/a.png: The image is truncated.")
    assert left_behind(house) == NOTHING


def test_every_problem_of_the_images_is_in_a_file_and_in_the_log(
    house: House, model: Model
) -> None:
    problems = tuple(f"s3://images/{number}.png: The image is empty." for number in range(120))
    log = TrainingLog(now=house.clock)

    def step(_spec: TrainingSpec, _report: Report) -> TrainingFailure:
        return TrainingFailure(reason="Many problems.", problems=problems)

    work(house, step, log=log).carry_out(model, attempt=house.claim_model(model))

    current = house.described(model)
    assert current.status is S.TRAINING_FAILED
    assert current.status_message == (
        f"Training failed: Many problems. {PROBLEMS} lists every problem."
    )
    document = json.loads(house.objects.read(PROBLEMS, max_bytes=MIB))
    assert document["NumberOfProblems"] == 120
    assert document["Problems"] == list(problems)
    texts = [entry.text for entry in log.steps(model.id)]
    assert [text for text in texts if text in problems] == list(problems[:MAX_LOGGED_PROBLEMS])


def test_problems_that_cannot_be_written_are_still_the_reason(house: House, model: Model) -> None:
    def without_bucket(_spec: TrainingSpec, _report: Report) -> TrainingFailure:
        shutil.rmtree(house.directory.buckets / BUCKET)
        return TrainingFailure(reason="One problem.", problems=("One problem.",))

    work(house, without_bucket).carry_out(model, attempt=house.claim_model(model))

    message = house.described(model).status_message
    assert message.startswith(
        "Training failed: One problem. The list of problems cannot be written"
    )


def test_a_backbone_that_went_missing_is_the_reason(house: House, model: Model) -> None:
    attempt = house.claim_model(model)

    work(house, trained, backbone="resnet18").carry_out(model, attempt=attempt)

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert "Training failed: There is no backbone resnet18 in" in found.status_message
    assert left_behind(house) == NOTHING


def test_progress_is_told_in_the_status_message(house: House, model: Model) -> None:
    told: list[str] = []

    def reporting(job: TrainingSpec, report: Report) -> TrainingResult:
        for text in ("reading images, 50%", None, "cross-validation, 20%"):
            report(text)
            told.append(house.described(model).status_message)
        return trained(job, report)

    work(house, reporting).carry_out(model, attempt=house.claim_model(model))

    assert told == [
        "The model is being trained: reading images, 50%.",
        "The model is being trained: reading images, 50%.",
        "The model is being trained: cross-validation, 20%.",
    ]


@pytest.mark.parametrize("text", ["reading images, 50%", None])
def test_every_report_holds_the_model_for_another_lease(
    house: House, model: Model, text: str | None
) -> None:
    def slow(job: TrainingSpec, report: Report) -> TrainingResult:
        for _ in range(3):
            now = house.clock.advance(LEASE.total_seconds() * 0.9)
            with house.database.writing() as rows:
                assert rows.models.claim(model.id, owner="x", now=now, lease_until=now) is None
            report(text)
        return trained(job, report)

    work(house, slow).carry_out(model, attempt=house.claim_model(model))

    assert house.described(model).status is S.TRAINED


def test_an_interrupted_training_is_left_to_the_next_attempt(house: House, model: Model) -> None:
    training = work(house, interrupted, trained)
    training.carry_out(model, attempt=house.claim_model(model))
    assert house.described(model).status is S.TRAINING
    assert left_behind(house) == NOTHING

    attempt = house.claim_model(model)  # a second later: nobody waits for the lease
    training.carry_out(model, attempt=attempt)

    assert attempt == 2
    assert house.described(model).status is S.TRAINED


def test_a_new_attempt_says_at_once_that_the_training_begins_again(
    house: House, model: Model
) -> None:
    def step(job: TrainingSpec, report: Report) -> TrainingResult:
        messages.append(house.described(model).status_message)
        return trained(job, report)

    messages: list[str] = []
    house.claim_model(model)  # by a server that is lost amid the training
    house.clock.advance(LEASE.total_seconds() + 1)

    work(house, step).carry_out(model, attempt=house.claim_model(model))

    assert messages == ["The training was interrupted, and begins again (attempt 2)."]


def test_a_training_is_given_up_after_its_last_attempt(house: House, model: Model) -> None:
    training = work(house, *[interrupted] * MAX_INTERRUPTIONS)
    pauses = []
    for _ in range(MAX_INTERRUPTIONS):
        attempt = house.claim_model(model)
        training.carry_out(house.described(model), attempt=attempt)
        left = house.described(model)
        assert left.status is S.TRAINING
        assert left.not_before is not None
        pauses.append((left.not_before - house.clock()).total_seconds())
    attempt = house.claim_model(model)

    training.carry_out(house.described(model), attempt=attempt)

    assert pauses == [1, 2, 4, 8, 16]

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert found.status_message == "Training failed: it was interrupted 5 times."


def test_after_an_orderly_stop_the_next_attempt_begins_at_once(house: House, model: Model) -> None:
    def stopped(_job: TrainingSpec, _report: Report) -> TrainingResult:
        raise TrainingInterruptedError("the server stops.", counts=False, waits=False)

    training = work(house, interrupted, stopped)
    for _ in range(2):
        training.carry_out(house.described(model), attempt=house.claim_model(model))

    assert house.described(model).not_before == house.clock()


def test_a_training_goes_on_while_its_database_is_away(
    house: House, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(job: TrainingSpec, report: Report) -> TrainingResult:
        with monkeypatch.context() as patch:
            patch.setattr(house.database, "renewing", away)
            report("reading images, 50%")
        report("cross-validation, 20%")
        return trained(job, report)

    def away() -> NoReturn:
        raise DatabaseUnavailableError("the server restarts.")

    work(house, step).carry_out(model, attempt=house.claim_model(model))

    assert house.described(model).status is S.TRAINED


SHORTAGES = [
    TrainingInterruptedError("the server stops.", counts=False, waits=False),
    OSError(errno.EMFILE, "Too many open files"),
    MemoryError(),
    DatabaseBusyError("blemish.db is locked by another process."),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_stops_and_shortages_never_end_a_training(
    house: House, model: Model, error: Exception
) -> None:
    def step(_job: TrainingSpec, _report: Report) -> TrainingResult:
        raise error

    training = work(house, *[step] * (MAX_INTERRUPTIONS + 2), trained)
    for _ in range(MAX_INTERRUPTIONS + 2):
        attempt = house.claim_model(model)
        training.carry_out(house.described(model), attempt=attempt)
    left = house.described(model)
    attempt = house.claim_model(model)

    training.carry_out(left, attempt=attempt)

    assert left.interruptions == 0
    assert left.status_message.startswith("The training was interrupted, and begins again: ")
    assert house.described(model).status is S.TRAINED


def test_a_fault_of_ours_ends_the_training_too(house: House, model: Model) -> None:
    attempt = house.claim_model(model)

    work(house).give_up(model, attempt=attempt, reason="an internal error.")

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert found.status_message == "Training failed: an internal error."


def test_the_folder_of_an_attempt_goes_even_when_it_fails_in_a_new_way(
    house: House, model: Model
) -> None:
    def broken(_job: TrainingSpec, _report: Report) -> TrainingResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(house, broken).carry_out(model, attempt=house.claim_model(model))

    assert left_behind(house) == NOTHING


def take_over(house: House, model: Model) -> int:
    """Claim a model whose owner has been silent for too long."""
    house.clock.advance(LEASE.total_seconds())
    return house.claim_model(model)


def lost_and_reporting(house: House, model: Model) -> Step:
    def step(_job: TrainingSpec, report: Report) -> TrainingResult:
        take_over(house, model)
        report("cross-validation, 20%")
        raise AssertionError("a training that has lost its row goes on")

    return step


def lost_and_trained(house: House, model: Model) -> Step:
    def step(job: TrainingSpec, report: Report) -> TrainingResult:
        result = trained(job, report)
        take_over(house, model)
        return result

    return step


def lost_and_failed(house: House, model: Model) -> Step:
    def step(_job: TrainingSpec, _report: Report) -> TrainingFailure:
        take_over(house, model)
        return TrainingFailure(reason="no image can be read.")

    return step


def lost_and_interrupted(house: House, model: Model) -> Step:
    def step(_job: TrainingSpec, _report: Report) -> TrainingResult:
        take_over(house, model)
        raise TrainingInterruptedError("the process was ended by SIGKILL")

    return step


@pytest.mark.parametrize(
    "lost", [lost_and_reporting, lost_and_trained, lost_and_failed, lost_and_interrupted]
)
def test_a_stale_attempt_changes_nothing(
    house: House, model: Model, lost: Callable[[House, Model], Step]
) -> None:
    stale = house.claim_model(model)

    work(house, lost(house, model)).carry_out(model, attempt=stale)

    found = house.described(model)
    assert (found.status, found.attempt) == (S.TRAINING, stale + 1)
    assert found.performance is None
    assert left_behind(house) == NOTHING
    work(house, trained).carry_out(model, attempt=stale + 1)
    assert house.described(model).status is S.TRAINED


def test_a_failed_training_gives_its_room_back_before_its_row_turns(
    house: House, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk was full, the row could not be written otherwise."""
    training = work(house, partial(failed, reason="there is no room."))
    give_up, seen = training.give_up, []

    def watched(model: Model, *, attempt: int, reason: str) -> None:
        seen.append(left_behind(house))
        give_up(model, attempt=attempt, reason=reason)

    monkeypatch.setattr(training, "give_up", watched)
    training.carry_out(model, attempt=house.claim_model(model))

    assert seen == [NOTHING]
    assert house.described(model).status is S.TRAINING_FAILED


class TakenOver(ObjectStore):
    """A store in which a write lasts so long that another attempt begins."""

    def __init__(self, house: House, model: Model) -> None:
        super().__init__(house.objects.root)
        self._take_over = partial(take_over, house, model)

    def write(self, ref: ObjectRef, data: Any) -> None:
        super().write(ref, data)
        if ref == RESULT:
            self._take_over()


def test_a_bundle_that_was_published_too_late_is_removed(house: House, model: Model) -> None:
    stale = house.claim_model(model)

    work(house, trained, objects=TakenOver(house, model)).carry_out(model, attempt=stale)

    assert house.described(model).status is S.TRAINING
    assert left_behind(house) == NOTHING


class Cancelled(ObjectStore):
    """A store in which a write lasts so long that the training is cancelled."""

    def __init__(self, house: House, at: ObjectRef) -> None:
        super().__init__(house.objects.root)
        self._house, self._at = house, at

    def write(self, ref: ObjectRef, data: Any) -> None:
        super().write(ref, data)
        if ref == self._at:
            self._house.models.cancel("circuits", "1", by="ada")
            self._house.clock.advance(1)


@pytest.mark.parametrize("at", [MANIFEST, RESULT], ids=lambda ref: ref.key)
def test_a_training_that_is_cancelled_at_its_end_takes_back_what_it_has_written(
    house: House, model: Model, at: ObjectRef
) -> None:
    other = house.put("out/EvaluationResult-circuits-2.json", b"of another model")
    training = work(house, trained, objects=Cancelled(house, at))

    training.carry_out(model, attempt=house.claim_model(model))

    found = house.described(model)
    assert (found.status, found.status_message) == (S.TRAINING_FAILED, "Cancelled by ada.")
    assert (found.bundle, found.performance) == (None, None)
    assert left_behind(house) == NOTHING
    assert [f"s3://{BUCKET}/{each.key}" for each in house.objects.list(BUCKET, "out/")] == [other]


def test_a_training_that_is_cancelled_as_it_runs_ends_at_its_next_report(
    house: House, model: Model
) -> None:
    def step(_job: TrainingSpec, report: Report) -> TrainingResult:
        report("reading images, 50%")
        house.models.cancel("circuits", "1", by="ada")
        report(None)
        raise AssertionError("a training that was cancelled goes on")

    work(house, step).carry_out(model, attempt=house.claim_model(model))

    assert house.described(model).status_message == "Cancelled by ada."
    assert left_behind(house) == NOTHING


class Watched(ObjectStore):
    """A store that notes where the model stands while the evaluation files are written."""

    def __init__(self, house: House, model: Model) -> None:
        super().__init__(house.objects.root)
        self.seen: list[tuple[str, ModelStatus]] = []
        self._house, self._model = house, model

    def write(self, ref: ObjectRef, data: Any) -> None:
        self.seen.append((ref.key, self._house.described(self._model).status))
        super().write(ref, data)


def test_the_row_turns_when_all_files_are_in_their_place(house: House, model: Model) -> None:
    objects = Watched(house, model)

    work(house, trained, objects=objects).carry_out(model, attempt=house.claim_model(model))

    assert objects.seen == [(MANIFEST.key, S.TRAINING), (RESULT.key, S.TRAINING)]


def test_a_bundle_that_cannot_be_published_leaves_no_trained_model(
    house: House, model: Model
) -> None:
    attempt = house.claim_model(model)
    (house.directory.bundles / f"{model.id}-{attempt}").write_bytes(b"in the way")

    work(house, trained).carry_out(model, attempt=attempt)

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert found.bundle is None
    assert left_behind(house)["attempts"] == []


def test_evaluation_files_are_written_over_those_of_an_attempt_before(
    house: House, model: Model
) -> None:
    house.put(MANIFEST.key, b"of an attempt that was cut off")

    work(house, trained).carry_out(model, attempt=house.claim_model(model))

    assert house.objects.read(MANIFEST, max_bytes=MIB) == b"lines"


def test_a_bucket_that_is_gone_by_the_end_is_the_reason(house: House, model: Model) -> None:
    def without_bucket(job: TrainingSpec, report: Report) -> TrainingResult:
        bucket = house.directory.buckets / BUCKET
        bucket.rename(house.directory.buckets / "renamed")
        return trained(job, report)

    work(house, without_bucket).carry_out(model, attempt=house.claim_model(model))

    found = house.described(model)
    assert found.status is S.TRAINING_FAILED
    assert BUCKET in found.status_message
    assert left_behind(house) == NOTHING


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """Gives what lets no file grow beyond `SMALL` bytes, for the rest of the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_interrupts_a_training_and_leaves_nothing_half_written(
    house: House, model: Model, small_files: Callable[[], None]
) -> None:
    def too_much(job: TrainingSpec, report: Report) -> TrainingResult:
        result = trained(job, report, result=bytes(SMALL + 1))
        small_files()
        return result

    work(house, too_much).carry_out(model, attempt=house.claim_model(model))

    found = house.described(model)
    assert found.status is S.TRAINING
    assert "begins again: There is no room to write " in found.status_message
    assert not (house.directory.buckets / BUCKET / RESULT.key).exists()
    assert left_behind(house) == NOTHING
