"""Requests over API, S3 and console, each with the permissions that it needs by the guide."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from benchmarks.campaign.policy_model import LOOKOUT

PROJECTS = ("p1", "p2", "p10", "absent")
BUCKETS = ("bucket-1", "bucket-1", "bucket-2", "absent-bucket")
KEYS = ("a/1.png", "a/2.png", "user-1/x", "é ü/+%41", "absent", "m.manifest")
LOOKOUT_PATH = "/2020-11-20/projects"

CHANGES = b64encode(b'{"source-ref": "s3://bucket-1/a/1.png"}\n').decode()

Need = tuple[str, str]
Case = tuple[str, str, str, Mapping[str, Any] | bytes | None, str, tuple[Need, ...]]
"""Operation, method, path with query, members, resource of its own action, other needs."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A request, and what it needs."""

    surface: str
    operation: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: action and resource; all of them are needed
    needs: tuple[Need, ...] = ()
    #: key -> what it needs, where the answer names each key
    needs_of_keys: Mapping[str, Need] = field(default_factory=dict)
    #: whether an allowed request may be answered as a denied one: it does not tell what exists
    conceals: bool = False


def drawn_request(generator: random.Random) -> Drawn:
    """Return the next request."""
    make = generator.choices([_api, _additions, _s3, _console], [5, 4, 5, 2])[0]
    return make(generator)


def _lookout(action: str) -> str:
    return f"lookoutvision:{action}"


def _object(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _api(generator: random.Random) -> Drawn:
    project, version = generator.choice(PROJECTS), generator.choice(["1", "2", "7"])
    kind = generator.choice(["train", "test"])
    bucket, key = generator.choice(BUCKETS), generator.choice(KEYS)
    base = f"{LOOKOUT_PATH}/{project}"
    model, on_project = f"{LOOKOUT}:model/{project}/{version}", f"{LOOKOUT}:project/{project}"
    arn = quote(f"{LOOKOUT}:model/{project}/{version}", safe="")
    output = {"S3Location": {"Bucket": bucket, "Prefix": "a/"}}
    manifest = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Key": key}}}
    tags = [{"Key": "line", "Value": "4"}]
    read, write = ("s3:GetObject", _object(bucket, key)), ("s3:PutObject", _object(bucket, "a/*"))
    cases: list[Case] = [
        ("ListProjects", "GET", LOOKOUT_PATH, None, "*", ()),
        ("CreateProject", "POST", LOOKOUT_PATH, {"ProjectName": project}, on_project, ()),
        ("DescribeProject", "GET", base, None, on_project, ()),
        (
            "DeleteProject",
            "DELETE",
            f"{LOOKOUT_PATH}/absent",
            None,
            f"{LOOKOUT}:project/absent",
            (),
        ),
        ("CreateDataset", "POST", f"{base}/datasets", {"DatasetType": kind}, "*", ()),
        (
            *("CreateDataset", "POST", f"{base}/datasets"),
            *({"DatasetType": kind, "DatasetSource": manifest}, "*", (read,)),
        ),
        ("DescribeDataset", "GET", f"{base}/datasets/{kind}", None, "*", ()),
        ("ListDatasetEntries", "GET", f"{base}/datasets/{kind}/entries", None, "*", ()),
        ("DeleteDataset", "DELETE", f"{base}/datasets/{kind}", None, "*", ()),
        ("ListModels", "GET", f"{base}/models", None, "*", ()),
        ("DescribeModel", "GET", f"{base}/models/{version}", None, model, ()),
        ("DeleteModel", "DELETE", f"{base}/models/{version}", None, model, ()),
        ("StopModel", "POST", f"{base}/models/{version}/stop", None, model, ()),
        (
            *("StartModel", "POST", f"{base}/models/{version}/start"),
            *({"MinInferenceUnits": 1}, model, ()),
        ),
        (
            *("CreateModel", "POST", f"{base}/models"),
            *({"OutputConfig": output}, f"{LOOKOUT}:model/{project}/*", (write,)),
        ),
        (
            *("CreateModel", "POST", f"{base}/models", {"OutputConfig": output, "Tags": tags}),
            f"{LOOKOUT}:model/{project}/*",
            (write, (_lookout("TagResource"), f"{LOOKOUT}:model/{project}/*")),
        ),
        ("ListTagsForResource", "GET", f"/2020-11-20/tags/{arn}", None, model, ()),
        ("TagResource", "POST", f"/2020-11-20/tags/{arn}", {"Tags": tags}, model, ()),
        ("ListModelPackagingJobs", "GET", f"{base}/modelpackagingjobs", None, "*", ()),
        (
            *("DescribeModelPackagingJob", "GET", f"{base}/modelpackagingjobs/job"),
            *(None, "*", ()),
        ),
        ("DetectAnomalies", "POST", f"{base}/models/{version}/detect", b"image", model, ()),
    ]
    return _of_case(generator.choice(cases))


def _additions(generator: random.Random) -> Drawn:
    """Return a request of the operations that change datasets and models, or that are ours."""
    project, version = generator.choice(PROJECTS), generator.choice(["1", "2", "7"])
    bucket, key = generator.choice(BUCKETS), generator.choice(KEYS)
    base, kind = f"{LOOKOUT_PATH}/{project}", generator.choice(["train", "test"])
    at_model, entries = f"{base}/models/{version}", f"{base}/datasets/{kind}/entries"
    model, on_project = f"{LOOKOUT}:model/{project}/{version}", f"{LOOKOUT}:project/{project}"
    ref = f"s3://{bucket}/{key}"
    read, write = ("s3:GetObject", _object(bucket, key)), ("s3:PutObject", _object(bucket, "a/*"))
    detect = (_lookout("DetectAnomalies"), model)
    images = {"ModelVersion": version, "ImageSource": {"Images": [ref]}}
    listed = {"ModelVersion": version, "ImageSource": {"Manifest": {"Bucket": bucket, "Key": key}}}
    location = {"Bucket": bucket, "Prefix": "a/"}
    output = {"OutputConfig": {"S3Location": location}}
    platform = {"Os": "LINUX", "Arch": "X86_64"}
    packed = {"S3OutputLocation": location, "ComponentName": "c", "TargetPlatform": platform}
    package = {"ModelVersion": version, "Configuration": {"Greengrass": packed}}
    regions = {"Regions": {"Ignored": ref}}
    arn = quote(model, safe="")
    batch = ("StartBatchDetection", "POST", f"{base}/batches")
    cases: list[Case] = [
        ("AddTrialImagesToDataset", "POST", f"{base}/trials/t/datasets/{kind}", {}, "*", ()),
        ("CancelBatchDetection", "POST", f"{base}/batches/b/cancel", {}, "*", ()),
        ("CancelModelTraining", "POST", f"{at_model}/cancel", {}, model, ()),
        ("DeleteDatasetEntries", "POST", f"{entries}/delete", {"SourceRefs": [ref]}, "*", ()),
        ("DescribeBatchDetection", "GET", f"{base}/batches/b", None, "*", ()),
        ("DescribeModelThreshold", "GET", f"{at_model}/threshold", None, model, ()),
        ("DescribeTrialDetection", "GET", f"{base}/trials/t", None, "*", ()),
        ("ListBatchDetections", "GET", f"{base}/batches", None, "*", ()),
        ("ListTrialDetections", "GET", f"{base}/trials", None, "*", ()),
        ("ListTrialImages", "GET", f"{base}/trials/t/images", None, "*", ()),
        (*batch, images | output, model, (detect, read, write)),
        (*batch, listed | output, model, (detect, read, write)),
        ("StartTrialDetection", "POST", f"{base}/trials", images, model, (detect, read)),
        ("StartTrialDetection", "POST", f"{base}/trials", listed, model, (detect, read)),
        ("StartModelPackagingJob", "POST", f"{base}/modelpackagingjobs", package, model, (write,)),
        ("UntagResource", "DELETE", f"/2020-11-20/tags/{arn}?tagKeys=line", None, model, ()),
        ("UpdateDatasetEntries", "PATCH", entries, {"Changes": CHANGES}, "*", ()),
        (
            *("UpdateDetectorSettings", "PUT", f"{base}/detectorsettings"),
            *({"DetectorSettings": {"Sensitivity": "strict"}}, on_project, ()),
        ),
        (
            *("UpdateDetectorSettings", "PUT", f"{base}/detectorsettings"),
            *({"DetectorSettings": regions}, on_project, (read,)),
        ),
        (
            *("UpdateInferenceUnits", "PUT", f"{at_model}/inferenceunits"),
            *({"MinInferenceUnits": 1}, model, ()),
        ),
        ("UpdateModelRegions", "PUT", f"{at_model}/regions", regions, model, (read,)),
        ("UpdateModelThreshold", "PUT", f"{at_model}/threshold", {"Threshold": 0.5}, model, ()),
        ("ValidateDataset", "GET", f"{base}/datasets/{kind}/validation", None, "*", ()),
        ("VerifyTrialImages", "POST", f"{base}/trials/t/verify", {"Entries": CHANGES}, "*", ()),
    ]
    return _of_case(generator.choice(cases))


def _of_case(case: Case) -> Drawn:
    operation, method, target, members, resource, more = case
    path, _, query = target.partition("?")
    if isinstance(members, bytes):
        body, headers = members, {"content-type": "image/png"}
    else:
        body = b"" if members is None else json.dumps(members).encode()
        headers = {"content-type": "application/json"} if body else {}
    return Drawn(
        surface="api",
        operation=operation,
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        needs=((_lookout(operation), resource), *more),
    )


def _s3(generator: random.Random) -> Drawn:
    bucket, key = generator.choice(BUCKETS), generator.choice(KEYS)
    other_bucket, other_key = generator.choice(BUCKETS), generator.choice(KEYS)
    on_bucket, on_object = f"arn:aws:s3:::{bucket}", _object(bucket, key)
    path = f"/{bucket}/{quote(key)}"
    source = f"/{other_bucket}/{quote(other_key)}"
    copied = {"x-amz-copy-source": source}
    upload = urlencode({"uploadId": "absent"})
    tagging = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    tagged: dict[str, Any] = {"query": "tagging", "body": tagging, "conceals": True}
    copies = (("s3:PutObject", on_object), ("s3:GetObject", _object(other_bucket, other_key)))

    def case(
        operation: str,
        method: str,
        action: str,
        *,
        at: str = path,
        query: str = "",
        about: str = on_object,
        **more: Any,
    ) -> Drawn:
        return Drawn(
            surface="s3",
            operation=operation,
            method=method,
            path=at,
            query=query,
            **({"needs": ((f"s3:{action}", about),)} | more),
        )

    of_bucket: dict[str, Any] = {"at": f"/{bucket}", "about": on_bucket}
    cases: list[Callable[[], Drawn]] = [
        lambda: case("GetObject", "GET", "GetObject", conceals=True),
        lambda: case("HeadObject", "HEAD", "GetObject", conceals=True),
        lambda: case("PutObject", "PUT", "PutObject", body=b"content"),
        lambda: case(
            "PutObject",
            "PUT",
            "PutObject",
            body=b"content",
            headers={"x-amz-tagging": "a=b"},
            needs=(("s3:PutObject", on_object), ("s3:PutObjectTagging", on_object)),
        ),
        lambda: case("DeleteObject", "DELETE", "DeleteObject"),
        lambda: case("CopyObject", "PUT", "", headers=copied, needs=copies, conceals=True),
        lambda: case("ListObjectsV2", "GET", "ListBucket", query="list-type=2", **of_bucket),
        lambda: case("ListObjects", "GET", "ListBucket", query="prefix=a", **of_bucket),
        lambda: case("HeadBucket", "HEAD", "ListBucket", **of_bucket),
        lambda: case("CreateBucket", "PUT", "CreateBucket", **of_bucket),
        lambda: case(
            "GetBucketLocation", "GET", "GetBucketLocation", query="location", **of_bucket
        ),
        lambda: case("ListBuckets", "GET", "ListAllMyBuckets", at="/", about="arn:aws:s3:::*"),
        lambda: case("CreateMultipartUpload", "POST", "PutObject", query="uploads"),
        lambda: case("UploadPart", "PUT", "PutObject", query=f"partNumber=1&{upload}", body=b"x"),
        lambda: case("AbortMultipartUpload", "DELETE", "AbortMultipartUpload", query=upload),
        lambda: case("ListParts", "GET", "ListMultipartUploadParts", query=upload),
        lambda: case("GetObjectTagging", "GET", "GetObjectTagging", query="tagging", conceals=True),
        lambda: case("PutObjectTagging", "PUT", "PutObjectTagging", **tagged),
        lambda: _delete_many(generator, bucket),
    ]
    return generator.choice(cases)()


def _delete_many(generator: random.Random, bucket: str) -> Drawn:
    keys = generator.sample([key for key in KEYS if key.isascii()], 3)
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return Drawn(
        surface="s3",
        operation="DeleteObjects",
        method="POST",
        path=f"/{bucket}",
        query="delete",
        body=f"<Delete>{objects}</Delete>".encode(),
        needs_of_keys={key: ("s3:DeleteObject", _object(bucket, key)) for key in keys},
    )


def _console(generator: random.Random) -> Drawn:
    project, version = generator.choice(PROJECTS), generator.choice(["1", "2"])
    bucket, key = generator.choice(BUCKETS), generator.choice(KEYS)
    model = f"{LOOKOUT}:model/{project}/{version}"
    read = ("s3:GetObject", _object(bucket, key))
    names = urlencode({"project": project, "version": version})
    ref = urlencode({"ref": f"s3://{bucket}/{key}"})
    detect = (_lookout("DetectAnomalies"), model)
    cases: list[tuple[str, str, str, tuple[Need, ...]]] = [
        ("image", "/console/image", ref, (read,)),
        ("thumbnail", "/console/thumbnail", ref, (read,)),
        (
            *("bundle", "/console/bundle", names),
            ((_lookout("DescribeModel"), model), (_lookout("StartModelPackagingJob"), model)),
        ),
        ("heat-map", "/console/heat-map", f"{names}&{ref}", (detect, read)),
        ("mask", "/console/mask", f"{names}&{ref}", (detect, read)),
        (
            *("package", "/console/package", urlencode({"project": project, "job": "job"})),
            ((_lookout("DescribeModelPackagingJob"), "*"),),
        ),
    ]
    operation, path, query, needs = generator.choice(cases)
    return Drawn(
        surface="console", operation=operation, method="GET", path=path, query=query, needs=needs
    )
