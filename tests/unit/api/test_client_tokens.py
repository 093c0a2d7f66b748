"""Every operation that takes a ClientToken, asked twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import xform_name

from blemish.api.service_model import service_model
from blemish.domain.detection_jobs import (
    DetectionJobKind,
    DetectionJobStatus,
    ImageCounts,
    TrialImage,
)
from blemish.domain.entities import DatasetType, ModelStatus
from blemish.engine.errors import BundleError
from blemish.service.detection.jobs import ImageList
from blemish.wire.calls import Call
from blemish.wire.handlers import arguments_from
from tests.asgi_client import CALLER
from tests.unit.api.conftest import Passed
from tests.unit.api.requests import (
    CIRCUITS,
    DATASET,
    DEVICE,
    MODEL,
    OUTPUT,
    SOURCE,
    answer,
    message,
)
from tests.unit.fakes import FakeHosting
from tests.unit.house import House
from tests.unit.manifests import json_line, url

S = ModelStatus
TOKEN = "RunOnce"
RACERS = 6


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation, and a request that succeeds after `prepare`."""

    members: dict[str, Any]
    prepare: Callable[[House], object]
    #: members that make it another request
    other: dict[str, Any] = field(default_factory=lambda: {"ProjectName": "boards"})
    #: the error of a request like the first, made as a new one after it
    again: str | None = "ConflictException"


def _with_datasets(house: House) -> None:
    house.project()
    house.images(normal=15)


def _with_model(status: ModelStatus) -> Callable[[House], object]:
    def prepare(house: House) -> None:
        _with_datasets(house)
        house.trained(status)

    return prepare


def _with_verified_trial(house: House) -> None:
    _with_model(S.TRAINED)(house)
    job = house.detection_jobs.start(
        "circuits",
        "1",
        kind=DetectionJobKind.TRIAL,
        name="trial",
        image_list=ImageList(manifest=None, images=[url("new.png")]),
        output=None,
    )
    house.put("new.png")
    with house.database.writing() as rows:
        now = house.clock.time
        attempt = rows.detection_jobs.claim(job.id, owner="the test", now=now, lease_until=now)
        assert attempt is not None
        rows.detection_jobs.finish(
            job.id,
            attempt=attempt,
            target=DetectionJobStatus.SUCCEEDED,
            status_message="Done.",
            counts=ImageCounts(total=1, normal=1, anomaly=0, failed=0),
            now=now,
        )
        image = TrialImage(
            position=1,
            source_ref=url("new.png"),
            is_anomalous=False,
            confidence=0.5,
            error=None,
            verified_line=json_line("new.png", "normal"),
        )
        rows.trial_images.put(job.id, [image])


IMAGES = {"Images": [url("new.png")]}
CHANGES = json_line("train/normal-0.png", "normal").encode()
CASES = {
    "CreateProject": Case(members=CIRCUITS, prepare=lambda _: None),
    "DeleteProject": Case(
        members=CIRCUITS, prepare=House.project, again="ResourceNotFoundException"
    ),
    "CreateDataset": Case(
        members=DATASET | {"DatasetSource": SOURCE},
        prepare=House.project,
        other={"DatasetType": "test"},
    ),
    "DeleteDataset": Case(members=DATASET, prepare=_with_datasets, other={"DatasetType": "test"}),
    "UpdateDatasetEntries": Case(
        members=DATASET | {"Changes": CHANGES},
        prepare=_with_datasets,
        other={"Changes": CHANGES + b"\n"},
    ),
    "DeleteDatasetEntries": Case(
        members=DATASET | {"SourceRefs": [url("train/normal-0.png")]},
        prepare=_with_datasets,
        other={"SourceRefs": [url("train/normal-1.png")]},
    ),
    "CreateModel": Case(
        members=CIRCUITS | {"OutputConfig": OUTPUT, "Tags": [{"Key": "line", "Value": "4"}]},
        prepare=_with_datasets,
        other={"Description": "another"},
        again=None,
    ),
    "DeleteModel": Case(members=MODEL, prepare=_with_model(S.TRAINED), other={"ModelVersion": "2"}),
    "StartModel": Case(
        members=MODEL | {"MinInferenceUnits": 1},
        prepare=_with_model(S.TRAINED),
        other={"MinInferenceUnits": 2},
    ),
    "StopModel": Case(
        members=MODEL, prepare=_with_model(S.HOSTED), other={"ModelVersion": "latest"}
    ),
    "StartModelPackagingJob": Case(
        members=MODEL | {"Configuration": {"Greengrass": DEVICE}},
        prepare=_with_model(S.TRAINED),
        other={"JobName": "another"},
        again="ConflictException",  # the first job makes this version of the component
    ),
    "StartBatchDetection": Case(
        members=MODEL | {"ImageSource": IMAGES, "OutputConfig": OUTPUT},
        prepare=_with_model(S.TRAINED),
        other={"BatchName": "another"},
        again=None,
    ),
    "StartTrialDetection": Case(
        members=MODEL | {"ImageSource": IMAGES},
        prepare=_with_model(S.TRAINED),
        other={"TrialName": "another"},
        again=None,
    ),
    "AddTrialImagesToDataset": Case(
        members=DATASET | {"TrialName": "trial"},
        prepare=_with_verified_trial,
        other={"DatasetType": "test"},
    ),
}
KEEP_A_FILE = {
    *("CreateModel", "UpdateDatasetEntries", "DeleteDatasetEntries"),
    *("StartBatchDetection", "StartTrialDetection", "AddTrialImagesToDataset"),
}
NAMES = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def client(extended_client: Any) -> Any:
    """A client that knows all that takes a token."""
    return extended_client


def ask(client: Any, name: str, *, token: str = TOKEN, **other: Any) -> dict[str, Any]:
    members = CASES[name].members | other | {"ClientToken": token}
    return answer(getattr(client, xform_name(name))(**members))


def kept(house: House) -> dict[str, list[Any]]:
    """Return every row but those of tokens, and the names of the files that the service keeps."""
    with closing(sqlite3.connect(house.directory.database)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = {
            name: database.execute(f"SELECT * FROM {name}").fetchall()
            for (name,) in tables
            if name != "client_tokens"
        }
    return found | {"files": sorted(house.stored_names())}


def test_every_operation_that_takes_a_token_has_a_case() -> None:
    model = service_model()

    taking = {
        name
        for name in model.operation_names
        if "ClientToken" in getattr(model.operation_model(name).input_shape, "members", {})
    }

    assert taking == set(CASES)


@NAMES
def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(
    client: Any, house: House, name: str
) -> None:
    CASES[name].prepare(house)
    first = ask(client, name)
    house.clock.advance(60)
    before = kept(house)

    assert ask(client, name) == first

    assert kept(house) == before


@NAMES
def test_the_first_answer_outlives_what_it_was_about(client: Any, house: House, name: str) -> None:
    CASES[name].prepare(house)
    first = ask(client, name)
    if name == "CreateProject":
        house.projects.delete("circuits")
    elif "Dataset" in name:
        house.settle()

    assert ask(client, name) == first


@NAMES
def test_other_parameters_are_a_conflict_that_names_operation_and_token(
    client: Any, house: House, name: str
) -> None:
    CASES[name].prepare(house)
    ask(client, name)
    before = kept(house)

    with pytest.raises(client.exceptions.ConflictException) as caught:
        ask(client, name, **CASES[name].other)

    assert message(caught) == (
        f"{name} was called with the client token {TOKEN} and other parameters before. "
        "Repeat them, or use another token."
    )
    assert kept(house) == before


@NAMES
def test_a_token_is_of_one_operation(client: Any, house: House, name: str) -> None:
    other = "CreateProject" if name != "CreateProject" else "DeleteProject"
    if name == "CreateProject":
        house.project()
        ask(client, other)
    else:
        ask(client, other)
        house.projects.delete("circuits")
    CASES[name].prepare(house)

    ask(client, name)

    with house.database.reading() as rows:
        assert rows.client_tokens.find(name, TOKEN)
        assert rows.client_tokens.find(other, TOKEN)


@NAMES
def test_a_token_is_new_after_eight_hours(
    client: Any, house: House, passed: Passed, name: str
) -> None:
    CASES[name].prepare(house)
    first = ask(client, name)
    passed.time = timedelta(hours=8, seconds=-60)
    assert ask(client, name) == first
    passed.time = timedelta(hours=8)

    if again := CASES[name].again:
        with pytest.raises(client.exceptions.ClientError) as caught:
            ask(client, name)
        assert caught.value.response["Error"]["Code"] == again
        assert TOKEN not in message(caught)
        return

    second = ask(client, name)
    assert second != first
    passed.time = timedelta(hours=16, seconds=-60)
    assert ask(client, name) == second


@NAMES
def test_a_request_that_failed_may_be_repeated_with_its_token(
    client: Any, house: House, name: str
) -> None:
    if name == "CreateProject":
        house.project()
    with pytest.raises(client.exceptions.ClientError):
        ask(client, name)
    if name == "CreateProject":
        house.projects.delete("circuits")
    CASES[name].prepare(house)

    first = ask(client, name)

    assert ask(client, name) == first


@NAMES
def test_a_token_is_known_to_connections_that_are_opened_later(
    client: Any, house: House, name: str
) -> None:
    CASES[name].prepare(house)
    first = ask(client, name)
    house.database.close()
    before = kept(house)

    assert ask(client, name) == first

    assert kept(house) == before


@NAMES
def test_a_change_whose_token_cannot_be_kept_is_not_made(
    client: Any, house: House, name: str
) -> None:
    CASES[name].prepare(house)
    with closing(sqlite3.connect(house.directory.database)) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON client_tokens "
            "BEGIN SELECT RAISE(ABORT, 'no token is kept'); END"
        )
    before = kept(house)

    with pytest.raises(client.exceptions.InternalServerException):
        ask(client, name)

    assert kept(house) == before


@NAMES
def test_of_requests_that_race_one_is_carried_out(
    house: House, operations: list[object], name: str
) -> None:
    CASES[name].prepare(house)
    members = CASES[name].members | {"ClientToken": TOKEN}
    handler = next(
        method for group in operations if (method := getattr(group, xform_name(name), None))
    )
    files = len(house.stored_names())
    at_once = threading.Barrier(RACERS)

    def race(number: int) -> dict[str, Any]:
        call = Call(
            request_id=str(number),
            received_at=datetime.now(UTC),
            source_ip=None,
            user_agent=None,
            caller=CALLER,
            operation=name,
            members=members,
        )
        at_once.wait()
        answered: dict[str, Any] = handler(call=call, **arguments_from(members))
        return answered

    with ThreadPoolExecutor(RACERS) as pool:
        first, *others = pool.map(race, range(RACERS))

    assert others == [first] * (RACERS - 1)
    more = name in KEEP_A_FILE
    assert len(house.stored_names()) == files + more
    if name == "CreateModel":
        assert len(house.models.page("circuits", token=None)[0]) == 1


def hosted(house: House, status: ModelStatus) -> None:
    """Let the work of hosting end in a status."""
    house.put_into(house.models.describe("circuits", "1"), status)


def test_one_token_starts_and_stops_a_model_every_hour(
    client: Any, house: House, passed: Passed
) -> None:
    CASES["StartModel"].prepare(house)

    for hour in range(12):
        passed.time = timedelta(hours=hour)
        assert ask(client, "StartModel") == {"Status": "STARTING_HOSTING"}
        hosted(house, S.HOSTED)
        assert ask(client, "StopModel") == {"Status": "STOPPING_HOSTING"}
        assert house.models.describe("circuits", "1").status is S.STOPPING_HOSTING
        hosted(house, S.TRAINED)

    assert house.models.describe("circuits", "1").status is S.TRAINED


@pytest.mark.parametrize("status", [S.STARTING_HOSTING, S.HOSTED, S.SYSTEM_UPDATING])
def test_a_start_that_still_stands_is_not_made_again(
    client: Any, house: House, status: ModelStatus
) -> None:
    CASES["StartModel"].prepare(house)
    ask(client, "StartModel")
    hosted(house, status)

    assert ask(client, "StartModel") == {"Status": "STARTING_HOSTING"}

    assert house.models.describe("circuits", "1").status is status


@pytest.mark.parametrize("status", [S.STOPPING_HOSTING, S.TRAINED])
def test_a_stop_that_still_stands_is_not_made_again(
    client: Any, house: House, status: ModelStatus
) -> None:
    CASES["StopModel"].prepare(house)
    ask(client, "StopModel")
    hosted(house, status)

    assert ask(client, "StopModel") == {"Status": "STOPPING_HOSTING"}

    assert house.models.describe("circuits", "1").status is status


def test_a_start_that_another_came_after_is_a_new_request(client: Any, house: House) -> None:
    CASES["StartModel"].prepare(house)
    ask(client, "StartModel")
    hosted(house, S.HOSTED)
    ask(client, "StopModel", token="by-hand")
    hosted(house, S.TRAINED)
    ask(client, "StartModel", token="by-hand")

    with pytest.raises(client.exceptions.ConflictException, match="is STARTING_HOSTING"):
        ask(client, "StartModel")


def test_a_stop_that_a_start_came_after_is_a_new_request(client: Any, house: House) -> None:
    CASES["StopModel"].prepare(house)
    ask(client, "StopModel")
    hosted(house, S.TRAINED)
    client.start_model(**MODEL, MinInferenceUnits=1)
    hosted(house, S.HOSTED)

    ask(client, "StopModel")

    assert house.models.describe("circuits", "1").status is S.STOPPING_HOSTING


def test_a_start_that_led_to_nothing_may_be_repeated_with_its_token(
    client: Any, house: House
) -> None:
    CASES["StartModel"].prepare(house)
    runner = FakeHosting()
    runner.damage = BundleError("The disk is away.")
    work = house.hosting_work(runner)
    ask(client, "StartModel")
    model = house.models.describe("circuits", "1")
    work.carry_out(model, attempt=house.claim_model(model))
    assert house.described(model).status is S.HOSTING_FAILED

    assert ask(client, "StartModel") == {"Status": "STARTING_HOSTING"}

    assert house.described(model).status is S.STARTING_HOSTING


def test_the_tokens_of_one_model_are_not_spent_by_another(client: Any, house: House) -> None:
    CASES["StopModel"].prepare(house)
    house.trained(S.HOSTED)
    ask(client, "StopModel")

    ask(client, "StopModel", token="another", ModelVersion="2")

    assert ask(client, "StopModel") == {"Status": "STOPPING_HOSTING"}


def test_without_a_token_nothing_is_remembered(house: House, operations: list[Any]) -> None:
    house.project()
    call = Call(
        request_id="1",
        received_at=house.clock.time,
        source_ip=None,
        user_agent=None,
        caller=CALLER,
        operation="CreateDataset",
        members=DATASET,
    )

    operations[1].create_dataset(call=call, project_name="circuits", dataset_type="train")

    with house.database.reading() as rows:
        assert rows.datasets.find("circuits", DatasetType.TRAIN)
        assert rows.client_tokens.find("CreateDataset", "") is None
