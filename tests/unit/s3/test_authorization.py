from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name

from blemish.domain.access.principals import Principal
from blemish.domain.errors import AccessDeniedError
from blemish.s3.authorization import ACTIONS, s3_gate
from blemish.s3.service_model import s3_model
from tests.unit.principals import ARN, allow, call_of, principal
from tests.unit.s3.conftest import BUCKET, Bench, client_of

BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
OBJECT_ARN = f"{BUCKET_ARN}/a/b.png"
MEMBERS: dict[str, Any] = {"Bucket": BUCKET, "Key": "a/b.png"}
SOURCE = {"CopySource": "other/c.png"}


def passes(who: Principal, operation: str, **members: Any) -> bool:
    try:
        s3_gate(call_of(who, operation, MEMBERS | members))
    except AccessDeniedError:
        return False
    return True


def test_every_operation_that_is_offered_is_judged(bench: Bench) -> None:
    offered = vars(bench.operations)

    judged = {xform_name(operation) for operation in ACTIONS}

    assert judged == offered.keys()
    assert ACTIONS.keys() <= set(s3_model().operation_names)


@pytest.mark.parametrize(
    ("operation", "action", "resource"),
    [
        ("AbortMultipartUpload", "s3:AbortMultipartUpload", OBJECT_ARN),
        ("CompleteMultipartUpload", "s3:PutObject", OBJECT_ARN),
        ("CreateBucket", "s3:CreateBucket", BUCKET_ARN),
        ("CreateMultipartUpload", "s3:PutObject", OBJECT_ARN),
        ("DeleteBucket", "s3:DeleteBucket", BUCKET_ARN),
        ("DeleteObject", "s3:DeleteObject", OBJECT_ARN),
        ("GetBucketLocation", "s3:GetBucketLocation", BUCKET_ARN),
        ("GetBucketVersioning", "s3:GetBucketVersioning", BUCKET_ARN),
        ("GetObject", "s3:GetObject", OBJECT_ARN),
        ("HeadBucket", "s3:ListBucket", BUCKET_ARN),
        ("HeadObject", "s3:GetObject", OBJECT_ARN),
        ("ListBuckets", "s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("ListMultipartUploads", "s3:ListBucketMultipartUploads", BUCKET_ARN),
        ("ListObjects", "s3:ListBucket", BUCKET_ARN),
        ("ListObjectsV2", "s3:ListBucket", BUCKET_ARN),
        ("ListParts", "s3:ListMultipartUploadParts", OBJECT_ARN),
        ("PutObject", "s3:PutObject", OBJECT_ARN),
        ("PutObjectTagging", "s3:PutObjectTagging", OBJECT_ARN),
        ("GetObjectTagging", "s3:GetObjectTagging", OBJECT_ARN),
        ("DeleteObjectTagging", "s3:DeleteObjectTagging", OBJECT_ARN),
        ("UploadPart", "s3:PutObject", OBJECT_ARN),
    ],
)
def test_an_operation_wants_one_action_on_one_resource(
    operation: str, action: str, resource: str
) -> None:
    others = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    elsewhere = {"Effect": "Allow", "Action": action, "NotResource": resource}

    assert passes(principal(allow(action, resource)), operation)
    assert not passes(principal(others), operation)
    assert not passes(principal(elsewhere), operation)


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
def test_a_copy_reads_its_source_and_writes_what_it_makes(operation: str) -> None:
    write = allow("s3:PutObject", OBJECT_ARN)
    read = allow("s3:GetObject", "arn:aws:s3:::other/c.png")

    assert passes(principal(write, read), operation, **SOURCE)
    assert not passes(principal(write), operation, **SOURCE)
    assert not passes(principal(read), operation, **SOURCE)


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
def test_an_upload_with_tags_needs_the_right_to_tag(operation: str) -> None:
    write = allow("s3:PutObject", OBJECT_ARN)
    tag = allow("s3:PutObjectTagging", OBJECT_ARN)

    assert passes(principal(write, tag), operation, Tagging="line=4")
    assert not passes(principal(write), operation, Tagging="line=4")


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2"])
def test_listings_can_be_held_to_a_prefix(operation: str) -> None:
    who = principal(
        allow(
            "s3:ListBucket",
            BUCKET_ARN,
            StringLike={"s3:prefix": "line-4/*"},
            NumericLessThanEquals={"s3:max-keys": "100"},
        )
    )

    assert passes(who, operation, Prefix="line-4/a", MaxKeys=100)
    assert not passes(who, operation, Prefix="line-4/a", MaxKeys=101)
    assert not passes(who, operation, Prefix="line-5/", MaxKeys=100)
    assert not passes(who, operation, MaxKeys=100)


def deleted(client: Any, *keys: str, bucket: str = BUCKET) -> tuple[list[str], dict[str, str]]:
    wanted = {"Objects": [{"Key": key} for key in keys]}
    answer = client.delete_objects(Bucket=bucket, Delete=wanted)
    errors = {
        each["Key"]: f"{each['Code']}: {each['Message']}" for each in answer.get("Errors", ())
    }
    return [each["Key"] for each in answer.get("Deleted", ())], errors


def test_of_many_objects_to_delete_each_is_judged_by_itself(bench: Bench) -> None:
    bench.put("mine/a")
    bench.put("theirs/b")
    client = client_of(bench, principal(allow("s3:DeleteObject", f"{BUCKET_ARN}/mine/*")))

    done, refused = deleted(client, "mine/a", "theirs/b", "theirs/none")

    assert done == ["mine/a"]
    assert refused == {
        key: f"AccessDenied: User: {ARN} is not authorized to perform: s3:DeleteObject on "
        f"resource: {BUCKET_ARN}/{key} because no identity-based policy allows the "
        "s3:DeleteObject action"
        for key in ("theirs/b", "theirs/none")
    }
    assert bench.get("theirs/b") == b"data"


def test_who_may_delete_nothing_does_not_learn_whether_there_is_a_bucket(bench: Bench) -> None:
    client = client_of(bench, principal(allow("s3:GetObject")))

    there, missing = (deleted(client, "a", bucket=name) for name in (BUCKET, "no-bucket"))

    assert [str(each).replace("no-bucket", BUCKET) for each in (there, missing)] == [str(there)] * 2


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("get_object", {"Key": "a"}),
        ("head_object", {"Key": "a"}),
        ("copy_object", {"Key": "b", "CopySource": f"{BUCKET}/a"}),
        ("get_object_tagging", {"Key": "a"}),
    ],
)
def test_that_an_object_is_missing_is_told_to_who_may_list_its_bucket(
    bench: Bench, operation: str, members: dict[str, Any]
) -> None:
    objects = allow("s3:*Object*", f"{BUCKET_ARN}/*")
    listing = allow("s3:ListBucket", BUCKET_ARN)

    def told(*statements: dict[str, Any]) -> int:
        client = client_of(bench, principal(*statements))
        with pytest.raises(client.exceptions.ClientError) as caught:
            getattr(client, operation)(Bucket=BUCKET, **members)
        return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])

    assert told(objects) == 403
    assert told(objects, listing) == 404


REQUESTS: dict[str, dict[str, Any]] = {
    "AbortMultipartUpload": {"UploadId": "1"},
    "CompleteMultipartUpload": {"UploadId": "1"},
    "CopyObject": {"CopySource": f"{BUCKET}/c"},
    "ListParts": {"UploadId": "1"},
    "PutObjectTagging": {"Tagging": {"TagSet": [{"Key": "line", "Value": "4"}]}},
    "UploadPart": {"UploadId": "1", "PartNumber": 1, "Body": b""},
    "UploadPartCopy": {"UploadId": "1", "PartNumber": 1, "CopySource": f"{BUCKET}/c"},
}


@pytest.mark.parametrize("operation", sorted(ACTIONS.keys() - {"DeleteObjects"}))
def test_who_is_denied_is_told_the_same_whatever_there_is(bench: Bench, operation: str) -> None:
    client = client_of(bench, principal(allow("lookoutvision:*")))
    shape = s3_model().operation_model(operation).input_shape
    members = {
        name: value
        for name, value in (MEMBERS | REQUESTS.get(operation, {})).items()
        if name in shape.members
    }

    def told() -> Any:
        with pytest.raises(client.exceptions.ClientError) as caught:
            getattr(client, xform_name(operation))(**members)
        return caught.value.response["Error"]

    missing = told()
    bench.put("a/b.png")
    bench.put("c")
    there = told()

    assert there == missing
    assert there["Code"] in {"AccessDenied", "403"}  # HEAD has no body to say more in
