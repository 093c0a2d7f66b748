"""S3 on the same port, by boto3: what programs of the original do with it."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from urllib3.filepost import encode_multipart_formdata

from tests.acceptance.served import BUCKET, ServedDirectory

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    served = ServedDirectory(tmp_path_factory.mktemp("s3") / "data", environment={})
    served.start()
    yield served
    served.end()


def s3_client(served: ServedDirectory, service: str = "s3", **config: Any) -> Any:
    """Return a client that knows the server by the two files alone."""
    names = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
    with pytest.MonkeyPatch.context() as patch:
        for name, file in names.items():
            patch.setenv(name, str(served.folder / "aws" / file))
        session = boto3.Session(profile_name="blemish")
        return session.client(service, config=Config(retries={"max_attempts": 0}, **config))


@pytest.fixture
def s3(shared: ServedDirectory) -> Any:
    return s3_client(shared)


@pytest.fixture
def bucket(shared: ServedDirectory, s3: Any) -> str:
    """A bucket that no other test has."""
    name = f"bucket-{shared.next_number()}"
    s3.create_bucket(Bucket=name)
    return name


def error_of(call: Callable[..., Any], **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_one_port_answers_both_services(served: ServedDirectory) -> None:
    s3 = s3_client(served)

    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [BUCKET]
    assert served.client().list_projects()["Projects"] == []


def test_who_does_not_sign_rightly_is_told_in_the_service_s_own_words(
    shared: ServedDirectory,
) -> None:
    settings = {"endpoint_url": shared.endpoint, "region_name": "us-east-1"}
    unknown = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    clients = [boto3.client(name, **settings, **unknown) for name in ("s3", "lookoutvision")]

    assert error_of(clients[0].list_buckets)[0] == "InvalidAccessKeyId"
    assert error_of(clients[1].list_projects)[0] == "UnrecognizedClientException"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{shared.endpoint}/{BUCKET}/key")
    assert caught.value.code == 403
    assert b"<Code>AccessDenied</Code>" in caught.value.read()
    caught.value.close()


def test_who_calls_learns_who_it_is(shared: ServedDirectory) -> None:
    identity = s3_client(shared, "sts").get_caller_identity()

    assert identity["Account"] == "000000000000"
    assert ":user/" in identity["Arn"]


def test_urls_that_boto3_presigns_by_version_2_work(shared: ServedDirectory, bucket: str) -> None:
    client = s3_client(shared, signature_version="s3")
    names = {"Bucket": bucket, "Key": "plates/1 ä.png"}
    put, get = (client.generate_presigned_url(name, names) for name in ("put_object", "get_object"))

    request = urllib.request.Request(put, data=b"image", method="PUT")
    request.add_unredirected_header("Content-Type", "")
    urllib.request.urlopen(request).close()
    with urllib.request.urlopen(get) as answer:
        content = answer.read()

    assert "AWSAccessKeyId=" in put
    assert content == b"image"


def test_a_file_goes_there_and_back(s3: Any, bucket: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(MIB))
    extra = {"ContentType": "image/png", "Metadata": {"line": "4"}}

    s3.upload_file(str(image), bucket, "plates/normal 1+1 ä.png", ExtraArgs=extra)
    s3.download_file(bucket, "plates/normal 1+1 ä.png", str(tmp_path / "back"))

    assert (tmp_path / "back").read_bytes() == image.read_bytes()
    head = s3.head_object(Bucket=bucket, Key="plates/normal 1+1 ä.png")
    assert (head["ContentType"], head["Metadata"]) == ("image/png", {"line": "4"})
    assert head["ETag"] == f'"{hashlib.md5(image.read_bytes()).hexdigest()}"'


def test_a_hundred_megabytes_go_there_in_parts_and_back(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    data = os.urandom(MIB) * 100
    back = io.BytesIO()

    s3.upload_fileobj(io.BytesIO(data), bucket, "large")
    s3.download_fileobj(bucket, "large", back)

    assert back.getvalue() == data
    head = s3.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")
    parts = [data[start : start + 8 * MIB] for start in range(0, len(data), 8 * MIB)]
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    assert head["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-13"'
    assert head["ChecksumType"] == "COMPOSITE"
    assert list((shared.folder / "uploads").iterdir()) == []
    copy = {"Bucket": bucket, "Key": "large"}
    s3.copy(copy, bucket, "copy")
    assert (shared.folder / "buckets" / bucket / "copy").read_bytes() == data


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bodies_travel_with_every_checksum(s3: Any, bucket: str, algorithm: str) -> None:
    data = os.urandom(200_000)

    put = s3.put_object(
        Bucket=bucket, Key=algorithm, Body=io.BytesIO(data), ChecksumAlgorithm=algorithm
    )
    got = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")

    assert got["Body"].read() == data
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


def test_a_wrong_checksum_changes_nothing(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"old")

    for wrong in ({"ChecksumCRC32": "AAAAAA=="}, {"ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}):
        code, _ = error_of(s3.put_object, Bucket=bucket, Key="a", Body=b"new", **wrong)
        assert code == "BadDigest"

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"old"


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_pages_have_every_key_once_in_order(s3: Any, bucket: str, operation: str) -> None:
    keys = sorted(["a b", "a+b", "a%2Fb", "a/b", "a/c/d", "é", "\U0001f642", "a&<b>"])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    paginator = s3.get_paginator(operation)

    pages = list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}))
    rolled = list(
        paginator.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2})
    )

    assert [each["Key"] for page in pages for each in page["Contents"]] == keys
    assert [len(page["Contents"]) for page in pages] == [3, 3, 2]
    assert [each["Prefix"] for page in rolled for each in page.get("CommonPrefixes", [])] == ["a/"]
    assert len([each for page in rolled for each in page.get("Contents", [])]) == 6


def test_the_other_pages_turn_too(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    name = {"Bucket": bucket, "Key": "a", "UploadId": upload}
    for number in range(1, 4):
        s3.upload_part(**name, PartNumber=number, Body=b"x")
    s3.create_multipart_upload(Bucket=bucket, Key="b")
    by_one = {"PaginationConfig": {"PageSize": 1}}

    parts = list(s3.get_paginator("list_parts").paginate(**name, **by_one))
    uploads = list(s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, **by_one))
    buckets = list(s3.get_paginator("list_buckets").paginate(**by_one))

    assert [part["PartNumber"] for page in parts for part in page["Parts"]] == [1, 2, 3]
    assert [each["Key"] for page in uploads for each in page["Uploads"]] == ["a", "b"]
    assert bucket in [each["Name"] for page in buckets for each in page["Buckets"]]
    s3.abort_multipart_upload(**name)


def test_presigned_links_need_no_key(s3: Any, bucket: str) -> None:
    name = {"Bucket": bucket, "Key": "a b"}
    put, get = (s3.generate_presigned_url(f"{verb}_object", Params=name) for verb in ("put", "get"))

    request = urllib.request.Request(put, data=b"data", method="PUT")
    request.add_header("Content-Type", "text/plain")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"data"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(get.replace("a%20b", "b"))


def test_a_form_that_boto3_presigns_puts_a_file(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    post = s3.generate_presigned_post(bucket, "plates/${filename}")
    parts = {**post["fields"], "file": ("1.png", bytes(3 * MIB), "image/png")}
    body, content_type = encode_multipart_formdata(parts)
    request = urllib.request.Request(post["url"], data=body, headers={"Content-Type": content_type})

    with urllib.request.urlopen(request) as answer:
        status = answer.status

    assert status == 204
    assert (shared.folder / "buckets" / bucket / "plates" / "1.png").stat().st_size == 3 * MIB


def test_errors_are_those_of_s3(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"data")
    missing = {"Bucket": bucket, "Key": "missing"}

    assert error_of(s3.create_bucket, Bucket=bucket)[0] == "BucketAlreadyOwnedByYou"
    assert error_of(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"
    assert error_of(s3.get_object, **missing)[0] == "NoSuchKey"
    assert error_of(s3.head_object, **missing)[0] == "404"
    assert error_of(s3.get_object, Bucket="missing", Key="a")[0] == "NoSuchBucket"
    assert error_of(s3.get_object, Bucket=bucket, Key="a", Range="bytes=4-")[0] == "InvalidRange"
    assert error_of(s3.get_object, Bucket=bucket, Key="a", IfMatch="x")[0] == "PreconditionFailed"
    assert error_of(s3.get_object_acl, Bucket=bucket, Key="a")[0] == "NotImplemented"
    cold = {"Bucket": bucket, "Key": "a", "Body": b"new", "StorageClass": "GLACIER"}
    assert error_of(s3.put_object, **cold)[0] == "NotImplemented"
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"data"


def test_odd_keys_are_refused_by_name_and_nothing_leaves_its_bucket(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    folder = shared.folder / "buckets" / bucket
    (folder / "link").symlink_to(shared.folder)

    for key in ("../outside", "a//b", "/a", "a/../../../outside", "link/blemish.db", "x#1"):
        for call, body in ((s3.put_object, {"Body": b"x"}), (s3.get_object, {})):
            code, message = error_of(call, Bucket=bucket, Key=key, **body)
            assert code == "InvalidArgument"
            assert repr(key) in message
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert list(shared.folder.rglob("outside")) == []


def test_an_upload_that_breaks_off_leaves_nothing(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"old")
    client = s3_client(shared)
    found = client._request_signer._credentials
    address = urlsplit(shared.endpoint)
    request = AWSRequest(
        method="PUT",
        url=f"{shared.endpoint}/{bucket}/a",
        headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "Host": address.netloc},
    )
    S3SigV4Auth(Credentials(found.access_key, found.secret_key), "s3", "us-east-1").add_auth(
        request
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())

    with socket.create_connection((address.hostname, address.port)) as connection:
        text = f"PUT /{bucket}/a HTTP/1.1\r\n{head}Content-Length: {4 * MIB}\r\n\r\n"
        connection.sendall(text.encode() + bytes(2 * MIB))

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"old"
    staging = shared.folder / "buckets" / ".staging"
    done = threading.Event()
    for _ in range(100):
        if not list(staging.iterdir()):
            break
        done.wait(0.05)
    assert list(staging.iterdir()) == []


def test_a_reader_sees_the_old_object_or_the_new_one(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    bodies = [bytes([number]) * (3 * MIB) for number in range(4)]
    s3.put_object(Bucket=bucket, Key="a", Body=bodies[0], Metadata={"number": "0"})
    done = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        client = s3_client(shared)
        while not done.is_set():
            got = client.get_object(Bucket=bucket, Key="a")
            data = got["Body"].read()
            if data != bodies[int(got["Metadata"]["number"])]:
                wrong.append(got["ETag"])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(24):
        metadata = {"number": str(number % 4)}
        s3.put_object(Bucket=bucket, Key="a", Body=bodies[number % 4], Metadata=metadata)
    done.set()
    for reader in readers:
        reader.join()

    assert wrong == []


def test_a_file_put_by_hand_is_an_object(shared: ServedDirectory, s3: Any, bucket: str) -> None:
    path = shared.folder / "buckets" / bucket / "plates" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"image")

    assert s3.get_object(Bucket=bucket, Key="plates/a.jpg")["Body"].read() == b"image"
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert listed["ETag"] == f'"{hashlib.md5(b"image").hexdigest()}"'
    assert sorted(each.name for each in path.parents[1].rglob("*")) == ["a.jpg", "plates"]


def test_many_objects_are_deleted_and_the_bucket_goes(
    shared: ServedDirectory, s3: Any, bucket: str
) -> None:
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=f"a/{number}", Body=b"x")
    names = [{"Key": f"a/{number}"} for number in range(20)]

    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    s3.delete_bucket(Bucket=bucket)

    assert len(told["Deleted"]) == 20
    assert not (shared.folder / "buckets" / bucket).exists()


def test_a_bucket_may_stand_in_front_of_the_host(shared: ServedDirectory, bucket: str) -> None:
    s3 = s3_client(shared)
    port = urlsplit(shared.endpoint).port
    signed = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
    assert f"/{bucket}?" in signed

    virtual = boto3.client(
        "s3",
        endpoint_url=f"http://localhost:{port}",
        region_name="us-east-1",
        aws_access_key_id=s3._request_signer._credentials.access_key,
        aws_secret_access_key=s3._request_signer._credentials.secret_key,
        config=Config(s3={"addressing_style": "virtual"}, signature_version="s3v4"),
    )
    link = virtual.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
    address = urlsplit(link)
    assert address.hostname == f"{bucket}.localhost"
    request = urllib.request.Request(
        f"{shared.endpoint}/?{address.query}", headers={"Host": address.netloc}
    )

    with urllib.request.urlopen(request) as answer:
        assert f"<Name>{bucket}</Name>" in answer.read().decode()


def test_metadata_and_uploads_outlive_a_kill_and_remains_do_not(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve()
    s3, name = s3_client(served), {"Bucket": BUCKET, "Key": "b"}
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", Metadata={"line": "4"})
    name["UploadId"] = s3.create_multipart_upload(**name)["UploadId"]
    etag = s3.upload_part(**name, PartNumber=1, Body=b"part")["ETag"]
    served.end(signal.SIGKILL)
    remains = [served.folder / "uploads" / "part", served.folder / "buckets" / ".staging" / "x"]
    for path in remains:
        path.write_bytes(b"half")

    served.start()

    s3 = s3_client(served)
    assert s3.head_object(Bucket=BUCKET, Key="a")["Metadata"] == {"line": "4"}
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**name, MultipartUpload=parts)
    assert (served.bucket / "b").read_bytes() == b"part"
    assert [path for path in remains if path.exists()] == []
