from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import blemish.runners.local
from blemish.domain.limits import OURS
from blemish.runners.local import LocalTrainings
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.service.training.runner import (
    AttemptLostError,
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSpec,
)
from tests.unit.runners.waiting import eventually, is_running

CHILD = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    for step in json.loads(job["entries"]):
        match step:
            case {"raw": text}:
                sys.stdout.write(text)
            case {"sleep": seconds}:
                time.sleep(seconds)
            case {"signal": number}:
                os.kill(os.getpid(), number)
            case {"exit": status}:
                os._exit(status)
            case {"say": "pid"}:
                print(json.dumps({"progress": str(os.getpid())}))
            case {"say": "job"}:
                print(json.dumps({"progress": json.dumps(job)}))
            case {"say": name}:
                print(json.dumps({"progress": os.environ.get(name)}))
            case message:
                print(json.dumps(message))
        sys.stdout.flush()
"""
"""Trainings that do what stands in their job where the name of the entries should be."""

COMMAND = (sys.executable, "-I", "-S", "-c", CHILD)
HANG = {"sleep": 60}
MANY = 1_100
TRAINED = {
    "trained": {
        "performance": {"f1_score": 1.0},
        "notes": ["a note"],
        "evaluation_ended_at": "2024-05-01T12:30:00+00:00",
        "files": {"manifest": "out/m.json"},
        "evaluation_method": None,
    }
}


def job(*steps: Any) -> TrainingSpec:
    return TrainingSpec(
        entries=json.dumps(steps),
        store_connection={"folder": "/buckets"},
        encryption_connection={"keyring": "/keyring"},
        bundle="1-1",
        kms_key_id=None,
        folder="/attempts/1-1",
        project="circuits",
        version=1,
        arn="arn",
        output_bucket="images",
        output_prefix="",
        evaluation_keys=evaluation_keys("", "circuits", version=1),
        limits=OURS,
        mixed_sizes=False,
        mask_orientation=None,
        backbone=None,
        threads=3,
        attempt=1,
        log_format="json",
        log_level="info",
    )


class Reports:
    """Collects what a training reports; the process is named by the first number among it."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []

    def __call__(self, text: str | None) -> None:
        self.texts.append(text)

    @property
    def pid(self) -> int:
        return next(int(text) for text in self.texts if text and text.isdecimal())


@pytest.fixture
def reports() -> Reports:
    return Reports()


def local(
    *, silence_s: float = 20.0, command: Sequence[str] = COMMAND, keep: bool = False
) -> LocalTrainings:
    return LocalTrainings(silence_s=silence_s, command=command, keep=keep)


@pytest.fixture
def keeping() -> Iterator[LocalTrainings]:
    """Trainings whose processes wait for the next one."""
    trainings = local(keep=True)
    yield trainings
    trainings.stop()


def test_a_process_says_how_far_it_is_and_what_came_of_it(reports: Reports) -> None:
    steps = [{"alive": True}, {"progress": "reading images, 50%"}, {"alive": True}, TRAINED]

    result = local().train(job(*steps), report=reports)

    assert reports.texts == [None, "reading images, 50%", None]
    assert isinstance(result, TrainingResult)
    assert asdict(result) == TRAINED["trained"]


def test_a_process_says_why_it_cannot_train(reports: Reports) -> None:
    result = local().train(job({"failed": "The image is truncated."}), report=reports)

    assert result == TrainingFailure(reason="The image is truncated.")


def test_a_process_is_told_the_whole_job(reports: Reports) -> None:
    told = job({"say": "job"}, TRAINED)

    local().train(told, report=reports)

    assert json.loads(reports.texts[0] or "") == asdict(told)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_a_process_uses_so_many_threads(reports: Reports, name: str) -> None:
    local().train(job({"say": name}, TRAINED), report=reports)

    assert reports.texts == ["3"]


@pytest.mark.parametrize(
    "name",
    [
        "BLEMISH_DATABASE_URL",
        "BLEMISH_METRICS_TOKEN",
        "BLEMISH_OIDC_CLIENT_SECRET",
        "BLEMISH_S3_SECRET_ACCESS_KEY",
        "blemish_oidc_client_secret",
    ],
)
def test_a_process_has_no_secret_in_its_environment(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "not-to-be-shown")
    told = replace(job({"say": name}, TRAINED), store_connection={"key": "hidden"})

    local().train(told, report=reports)

    assert reports.texts == [None]
    assert "hidden" not in repr(told)


def test_messages_may_come_in_pieces_or_together(reports: Reports) -> None:
    text = "".join(json.dumps({"progress": str(i)}) + "\n" for i in range(3))
    pieces = [text[:7], text[7:30], text[30:]]
    steps = [step for piece in pieces for step in ({"raw": piece}, {"sleep": 0.05})]

    local().train(job(*steps, TRAINED), report=reports)

    assert reports.texts == ["0", "1", "2"]


def test_a_long_message_is_read_whole(reports: Reports) -> None:
    notes = ["a note " * 10_000] * 5
    message = {"trained": TRAINED["trained"] | {"notes": notes}}

    result = local().train(job(message), report=reports)

    assert isinstance(result, TrainingResult)
    assert list(result.notes) == notes


def test_a_process_that_says_nothing_for_too_long_is_lost(reports: Reports) -> None:
    with pytest.raises(TrainingInterruptedError, match=r"^the process said nothing for 1 s$"):
        local(silence_s=1).train(job({"say": "pid"}, HANG), report=reports)

    assert not is_running(reports.pid)


def test_a_process_may_take_long_if_it_says_so(reports: Reports) -> None:
    steps = [{"alive": True}, {"sleep": 0.4}] * 5

    assert local(silence_s=1.6).train(job(*steps, TRAINED), report=reports)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"signal": signal.SIGKILL}, "the process was ended by SIGKILL"),
        ({"signal": signal.SIGTERM}, "the process was ended by SIGTERM"),
        ({"exit": 3}, "the process ended with exit status 3"),
        ({"exit": 0}, "the process ended with exit status 0"),
    ],
)
def test_a_process_that_ends_without_a_result_may_be_tried_again(
    reports: Reports, end: dict[str, int], reason: str
) -> None:
    with pytest.raises(TrainingInterruptedError) as caught:
        local().train(job({"alive": True}, end), report=reports)

    assert str(caught.value) == reason


def test_a_process_that_ends_before_it_reads_may_be_tried_again(reports: Reports) -> None:
    command = (sys.executable, "-I", "-S", "-c", "raise SystemExit(5)")
    long = replace(job(), entries="x" * 1_000_000)

    with pytest.raises(TrainingInterruptedError) as caught:
        local(command=command).train(long, report=reports)

    assert str(caught.value) == "the process ended with exit status 5"


def test_a_process_whose_attempt_is_lost_is_ended() -> None:
    pids: list[int] = []

    def lose(text: str | None) -> None:
        pids.append(int(text or 0))
        raise AttemptLostError

    with pytest.raises(AttemptLostError):
        local().train(job({"say": "pid"}, HANG), report=lose)

    assert not is_running(pids[0])


def test_a_process_that_has_its_result_is_not_waited_for(reports: Reports) -> None:
    local().train(job({"say": "pid"}, TRAINED, HANG), report=reports)

    assert not is_running(reports.pid)


def process_of(trainings: LocalTrainings, *steps: Any) -> int:
    """Train; return the process that did it."""
    reports = Reports()
    trainings.train(job({"say": "pid"}, *steps), report=reports)
    return reports.pid


@pytest.mark.parametrize("end", [TRAINED, {"failed": "The image is truncated."}])
def test_a_process_that_is_kept_gets_the_next_training(
    keeping: LocalTrainings, end: dict[str, Any]
) -> None:
    assert process_of(keeping, end) == process_of(keeping, TRAINED)


def test_trainings_at_once_have_processes_of_their_own(
    keeping: LocalTrainings, reports: Reports
) -> None:
    first = process_of(keeping, TRAINED)
    in_thread(keeping, job({"say": "pid"}, HANG), reports)
    eventually(lambda: reports.texts)

    assert reports.pid == first
    assert process_of(keeping, TRAINED) != first


def test_a_kept_process_that_has_ended_is_replaced(keeping: LocalTrainings) -> None:
    first = process_of(keeping, TRAINED)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not is_running(first))

    assert process_of(keeping, TRAINED) != first


def test_a_process_without_a_result_is_not_kept(keeping: LocalTrainings, reports: Reports) -> None:
    with pytest.raises(TrainingInterruptedError):
        keeping.train(job({"say": "pid"}, {"interrupted": "no node."}), report=reports)

    assert not is_running(reports.pid)


def test_a_process_that_waits_for_long_gets_no_training(
    keeping: LocalTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = process_of(keeping, TRAINED)
    monkeypatch.setattr(blemish.runners.local, "IDLE_S", 0.0)

    assert process_of(keeping, TRAINED) != first
    assert not is_running(first)


def test_stop_ends_the_processes_that_wait(keeping: LocalTrainings) -> None:
    first = process_of(keeping, TRAINED)

    keeping.stop()

    assert not is_running(first)


DRIVER = """
import sys
from blemish.engine.training.labeled_images import Progress
from blemish.runners.training_process import main
def run(spec, progress):
    progress(Progress(step=spec.project, done=1, total=1))
    return {"failed": spec.project}
main(lambda: run, idle_s=60)
"""


def test_a_driver_runs_one_training_after_the_other(reports: Reports) -> None:
    trainings = local(command=(sys.executable, "-c", DRIVER), keep=True)
    try:
        results = [
            trainings.train(replace(job(), project=project), report=reports)
            for project in ("first", "second")
        ]
    finally:
        trainings.stop()

    assert results == [TrainingFailure(reason="first"), TrainingFailure(reason="second")]
    assert reports.texts.count("first, 100%") <= 1  # nothing of it is said of the second


def in_thread(trainings: LocalTrainings, told: TrainingSpec, reports: Reports) -> list[str]:
    """Begin a training that is interrupted later; the reason then stands in the list."""
    reasons: list[str] = []

    def train() -> None:
        try:
            trainings.train(told, report=reports)
        except TrainingInterruptedError as error:
            reasons.append(str(error))

    threading.Thread(target=train, daemon=True).start()
    return reasons


def test_stop_ends_every_training(reports: Reports) -> None:
    trainings, others = local(), Reports()
    reasons = [in_thread(trainings, job({"say": "pid"}, HANG), each) for each in (reports, others)]
    eventually(lambda: reports.texts and others.texts)

    trainings.stop()

    eventually(lambda: reasons == [["the server stops."]] * 2)
    assert not is_running(reports.pid)
    assert not is_running(others.pid)


def test_no_training_begins_after_stop(reports: Reports) -> None:
    trainings = local()
    trainings.stop()

    with pytest.raises(TrainingInterruptedError):
        trainings.train(job({"sleep": 0.2}, {"alive": True}, HANG), report=reports)

    assert reports.texts == []


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Takes more descriptors than `select` can tell apart."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MANY + 100:
        pytest.skip(f"no more than {hard} files can be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 100), hard))
    with ExitStack() as stack, Path(os.devnull).open() as file:
        taken = 0
        while taken < MANY:
            taken = fcntl.fcntl(file, fcntl.F_DUPFD, 3)
            stack.callback(os.close, taken)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_server_with_many_connections_can_train(reports: Reports) -> None:
    assert local().train(job({"alive": True}, TRAINED), report=reports)


PARENT = """
import json, sys
from blemish.runners.local import LocalTrainings
from blemish.service.training.runner import TrainingSpec
child, job = sys.argv[1:]
trainings = LocalTrainings(silence_s=60, command=[sys.executable, "-c", child])
trainings.train(TrainingSpec.of_json(json.loads(job)), report=lambda text: print(text, flush=True))
"""

ORPHAN = """
import json, os, sys, threading, time
from blemish.runners.child_process import end_with_parent
sys.stdin.readline()
threading.Thread(target=end_with_parent, daemon=True).start()
print(json.dumps({"progress": str(os.getpid())}), flush=True)
time.sleep(60)
"""


def test_a_training_ends_when_its_server_is_killed() -> None:
    command = [sys.executable, "-c", PARENT, ORPHAN, json.dumps(asdict(job()))]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)

        parent.kill()

        eventually(lambda: not is_running(pid))
    finally:
        parent.kill()
        parent.communicate()
