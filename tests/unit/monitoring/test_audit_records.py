from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ServiceModel

from blemish.api.service_model import service_model
from blemish.domain.arns import ArnScope
from blemish.domain.errors import AccessDeniedError
from blemish.monitoring.audit_files import AuditFiles
from blemish.monitoring.audit_log import AuditLog
from blemish.monitoring.audit_members import MAX_CHARACTERS, MAX_ITEMS
from blemish.monitoring.audit_records import (
    S3,
    UNSIGNED_PER_S,
    AuditRecords,
    audit,
    is_data_event,
)
from blemish.s3.service_model import s3_model
from blemish.wire.errors import InvalidSignatureError
from tests.unit.monitoring.made import CALLER, WHEN, call

API = "lookoutvision.amazonaws.com"
ARN = "arn:aws:lookoutvision:eu-west-1:123456789012"


def audit_records() -> AuditRecords:
    return AuditRecords(
        arns=ArnScope(region="eu-west-1", account="123456789012"),
        new_id=map("event-{}".format, count(1)).__next__,
        now=lambda: WHEN,
    )


def record_of(*, source: str = API, model: ServiceModel | None = None, **fields: Any) -> Any:
    model = model or (s3_model() if source == S3 else service_model())
    return audit_records().of_call(call(**fields), source=source, model=model)


def waiting_log() -> AuditLog:
    """Return a log that was not started."""
    files = AuditFiles(Path(), now=lambda: WHEN, max_age=timedelta(days=1), max_bytes=10**6)
    return AuditLog(files, gap=lambda missing: {"missing": missing})


def test_a_record_says_who_did_what_in_the_words_of_cloudtrail() -> None:
    record = record_of(
        operation="CreateProject",
        caller=CALLER,
        members={"ProjectName": "plates"},
        answer={"ProjectMetadata": {"ProjectName": "plates", "CreationTimestamp": WHEN}},
        status=200,
    )

    assert record == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "line-4",
            "arn": "arn:aws:iam::123456789012:user/line-4",
            "accountId": "123456789012",
            "accessKeyId": "BLEMKEY",
            "userName": "line-4",
        },
        "eventTime": "2024-05-01T12:00:00Z",
        "eventSource": API,
        "eventName": "CreateProject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "a client",
        "requestParameters": {"projectName": "plates"},
        "responseElements": {
            "projectMetadata": {
                "projectName": "plates",
                "creationTimestamp": "2024-05-01T12:00:00Z",
            }
        },
        "requestID": "request-1",
        "eventID": "event-1",
        "readOnly": False,
        "resources": [
            {
                "accountId": "123456789012",
                "type": "AWS::LookoutVision::Project",
                "ARN": f"{ARN}:project/plates",
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": "123456789012",
    }


def test_what_was_denied_says_so_and_what_was_asked() -> None:
    record = record_of(
        operation="DeleteProject",
        caller=CALLER,
        members={"ProjectName": "plates"},
        status=403,
        error=AccessDeniedError("You may not."),
    )

    assert (record["errorCode"], record["errorMessage"]) == (
        "AccessDeniedException",
        "You may not.",
    )
    assert record["requestParameters"] == {"projectName": "plates"}
    assert record["responseElements"] is None


def test_what_a_call_was_denied_in_part_is_named() -> None:
    record = record_of(
        source=S3,
        operation="DeleteObjects",
        caller=CALLER,
        members={"Bucket": "images"},
        refused={"a": "You may not.", "b": "You may not."},
        status=200,
    )

    assert record["additionalEventData"] == {"denied": ["a", "b"], "deniedCount": 2}
    assert "errorCode" not in record


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    record = record_of(status=403, error=InvalidSignatureError("Wrong."), source_ip=None)

    assert record["userIdentity"] == {"type": "Unknown"}
    assert record["eventName"] == record["sourceIPAddress"] == "Unknown"
    assert record["requestParameters"] is None


def test_a_call_whose_client_hung_up_is_recorded_as_such() -> None:
    assert record_of(operation="DetectAnomalies", status=None)["errorCode"] == "ClientGone"


def test_the_check_of_a_dataset_only_reads() -> None:
    assert record_of(operation="ValidateDataset", status=200, answer={})["readOnly"]


def test_what_was_only_read_is_not_repeated() -> None:
    record = record_of(operation="ListProjects", status=200, answer={"Projects": []})

    assert record["readOnly"]
    assert record["responseElements"] is None


@pytest.mark.parametrize(
    ("operation", "members", "told"),
    [
        ("DetectAnomalies", {"Body": b"image"}, {"body": "5 bytes"}),
        ("UpdateDatasetEntries", {"Changes": b"{}"}, {"changes": "2 bytes"}),
        ("UntagResource", {"TagKeys": ["a"] * MAX_ITEMS}, {"tagKeys": ["a"] * MAX_ITEMS}),
        ("UntagResource", {"TagKeys": ["a"] * (MAX_ITEMS + 1)}, {"tagKeys": "21 items"}),
        (
            "CreateModel",
            {"Tags": [{"Key": "a", "Value": "b"}]},
            {"tags": [{"key": "a", "value": "b"}]},
        ),
        ("CreateModel", {"Description": "a" * 2_000}, {"description": "a" * MAX_CHARACTERS + "…"}),
        ("ListModels", {"MaxResults": 7, "NextToken": None}, {"maxResults": 7}),
        ("ListDatasetEntries", {"Labeled": True}, {"labeled": True}),
        (
            "ListDatasetEntries",
            {"AfterCreationDate": datetime(2024, 1, 2, tzinfo=UTC)},
            {"afterCreationDate": "2024-01-02T00:00:00Z"},
        ),
        ("CreateProject", {"ProjectName": {"not": "a name"}}, {"projectName": None}),
    ],
)
def test_members_are_short_and_have_no_image(
    operation: str, members: dict[str, Any], told: dict[str, Any]
) -> None:
    record = record_of(operation=operation, members=members, status=200)

    assert record["requestParameters"] == told


def test_a_value_that_the_model_calls_sensitive_is_hidden() -> None:
    model = ServiceModel(
        {
            "metadata": {"protocol": "rest-json"},
            "operations": {"Make": {"input": {"shape": "Input"}, "http": {}}},
            "shapes": {
                "Input": {"type": "structure", "members": {"Password": {"shape": "Secret"}}},
                "Secret": {"type": "string", "sensitive": True},
            },
        },
        "made",
    )

    record = record_of(
        model=model, operation="Make", members={"Password": "open sesame"}, status=200
    )

    assert record["requestParameters"] == {"password": "HIDDEN_DUE_TO_SECURITY_REASONS"}


def test_of_s3_only_path_and_query_are_recorded() -> None:
    record = record_of(
        source=S3,
        operation="PutObject",
        members={
            "Bucket": "images",
            "Key": "a/b.png",
            "Metadata": {"note": "private"},
            "SSECustomerKey": "a key",
            "ContentType": "image/png",
        },
        answer={"ETag": '"1"'},
        status=200,
    )

    assert record["requestParameters"] == {"bucketName": "images", "key": "a/b.png"}
    assert record["responseElements"] is None
    assert [found["ARN"] for found in record["resources"]] == [
        "arn:aws:s3:::images",
        "arn:aws:s3:::images/a/b.png",
    ]
    assert (record["managementEvent"], record["eventCategory"]) == (False, "Data")


@pytest.mark.parametrize(
    ("source", "operation", "is_data"),
    [
        (S3, "GetObject", True),
        (S3, "ListObjectsV2", True),
        (S3, "HeadBucket", True),
        (S3, "CreateBucket", False),
        (S3, "ListBuckets", False),
        (S3, None, False),
        (API, "DetectAnomalies", False),
    ],
)
def test_calls_about_objects_are_data_events(
    source: str, operation: str | None, is_data: bool
) -> None:
    assert is_data_event(call(operation=operation), source=source) == is_data


@pytest.mark.parametrize(
    ("members", "arns"),
    [
        ({"ProjectName": "plates", "ModelVersion": "3"}, [f"{ARN}:model/plates/3"]),
        ({"ProjectName": "plates", "ModelVersion": "latest"}, [f"{ARN}:project/plates"]),
        ({"ResourceArn": f"{ARN}:model/plates/3"}, [f"{ARN}:model/plates/3"]),
        ({"ProjectName": "a" * 2_000}, []),
        ({"ProjectName": 7}, []),
    ],
)
def test_what_a_call_is_about_is_named_by_its_arn(members: dict[str, Any], arns: list[str]) -> None:
    record = record_of(operation="DetectAnomalies", members=members, status=404)

    assert [found["ARN"] for found in record["resources"]] == arns
    assert json.dumps(record)


def test_who_has_no_key_cannot_flood_the_log() -> None:
    log = waiting_log()
    observe = audit(log, audit_records(), source=API, model=service_model(), data_events=False)

    for _ in range(UNSIGNED_PER_S + 5):
        observe(call(status=403))
    for _ in range(5):
        observe(call(status=200, caller=CALLER, operation="ListProjects"))
    observe(call(status=403, received_at=WHEN + timedelta(seconds=1)))

    assert log.waiting == UNSIGNED_PER_S + 5 + 1
    assert log.lost == 5


@pytest.mark.parametrize(("data_events", "kept"), [(False, 1), (True, 2)])
def test_calls_about_objects_are_recorded_on_demand(*, data_events: bool, kept: int) -> None:
    log = waiting_log()
    observe = audit(log, audit_records(), source=S3, model=s3_model(), data_events=data_events)

    observe(call(status=200, caller=CALLER, operation="GetObject"))
    observe(call(status=200, caller=CALLER, operation="CreateBucket"))

    assert log.waiting == kept


def test_what_is_done_to_keys_is_recorded_without_a_model_of_iam() -> None:
    log = waiting_log()
    observe = audit(log, audit_records(), source="iam.amazonaws.com", model=None, data_events=False)
    members = {"UserName": "line-4", "Change": "x" * (MAX_CHARACTERS + 1)}

    observe(call(operation="UpdateAccessKey", caller=CALLER, members=members, status=200))

    record = audit_records().of_call(
        call(operation="UpdateAccessKey", caller=CALLER, members=members, status=200),
        source="iam.amazonaws.com",
        model=None,
    )
    assert log.waiting == 1
    assert record["eventName"] == "UpdateAccessKey"
    assert record["requestParameters"]["userName"] == "line-4"
    assert len(record["requestParameters"]["change"]) == MAX_CHARACTERS + 1
    assert record["readOnly"] is False


@pytest.mark.parametrize(("status", "records"), [(200, 0), (404, 0), (403, 1)])
def test_of_data_events_only_refused_ones_are_recorded_unless_all_are_wanted(
    status: int, records: int
) -> None:
    log = waiting_log()
    observe = audit(log, audit_records(), source=S3, model=s3_model(), data_events=False)

    observe(call(operation="GetObject", caller=CALLER, status=status))

    assert log.waiting == records
