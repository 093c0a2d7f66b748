"""The parsers that read bytes of strangers: inputs to begin from, and errors that they raise."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import onnx
from botocore.model import OperationModel
from PIL import Image

from benchmarks.campaign.signing import signed_headers
from blemish.domain.access.policies import PolicyError, parse_policy
from blemish.domain.manifest import parse_manifest
from blemish.edge.messages import DecodeError, message_class
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.bundle import CHECKSUMS, INFO, MODEL, parse_bundle
from blemish.engine.errors import EngineError
from blemish.engine.images.headers import ImageError, read_image_header
from blemish.s3.protocol.chunks import ChunkedBody
from blemish.s3.protocol.errors import S3Error
from blemish.s3.protocol.rest_xml import parse_xml_request
from blemish.s3.protocol.signature import as_s3_error, verify
from blemish.s3.service_model import s3_model
from blemish.wire.errors import ProtocolError, WireError
from blemish.wire.messages import HttpRequest
from blemish.wire.signature import SignatureVerifier
from tests.asgi_client import KEY_ID, SECRET, signer

NOW = datetime(2026, 3, 2, 9, 41, tzinfo=UTC)
MIB = 2**20


class SlowError(Exception):
    """A parser took too long for the size of its input."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser under test."""

    run: Callable[[bytes], object]
    #: errors that it documents
    expected: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]

    def parse(self, data: bytes) -> None:
        """Parse an input; its documented errors are fine.

        Raises:
            SlowError: it took more than a second, and one for each MiB.
        """
        began = time.process_time()
        with suppress(*self.expected):
            self.run(data)
        took_s = time.process_time() - began
        if took_s > 1 + len(data) / MIB:
            raise SlowError(f"{len(data)} bytes took {took_s:.1f} s")


def _manifest(data: bytes) -> None:
    lines = data.decode(errors="replace").splitlines()
    for _ in parse_manifest(lines, []):
        pass


def _manifest_seeds() -> list[bytes]:
    labelled = {
        "source-ref": "s3://bucket/a.png",
        "anomaly-label": 1,
        "anomaly-label-metadata": {
            "class-name": "anomaly",
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2024-01-02T03:04:05.678Z",
            "confidence": 1,
        },
        "anomaly-mask-ref": "s3://bucket/a-mask.png",
        "anomaly-mask-ref-metadata": {
            "type": "groundtruth/semantic-segmentation",
            "internal-color-map": {
                "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0},
                "1": {"class-name": "crack", "hex-color": "#00ff00", "confidence": 0},
            },
            "human-annotated": "yes",
            "creation-date": "Mon, 02 Jan 2024 03:04:05 GMT",
        },
    }
    lines = [json.dumps(labelled), json.dumps({"source-ref": "s3://bucket/b.png"})]
    return [line.encode() for line in lines] + ["\n".join(lines).encode()]


def _image_seeds() -> list[bytes]:
    pixels = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(24, 16, 3)
    image, seeds = Image.fromarray(pixels), []
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        output = io.BytesIO()
        image.save(output, kind)
        seeds.append(output.getvalue())
    exif = image.getexif()
    exif[0x0112] = 6
    for kind, options in (("JPEG", {"exif": exif}), ("TIFF", {"compression": "tiff_lzw"})):
        output = io.BytesIO()
        image.save(output, kind, **options)
        seeds.append(output.getvalue())
    return seeds


_XML_OPERATIONS: tuple[OperationModel, ...] = tuple(
    s3_model().operation_model(name)
    for name in ("DeleteObjects", "CompleteMultipartUpload", "PutObjectTagging", "CreateBucket")
)


def _xml(data: bytes) -> None:
    operation = _XML_OPERATIONS[data[0] % len(_XML_OPERATIONS)] if data else _XML_OPERATIONS[0]
    query = {"DeleteObjects": "delete", "PutObjectTagging": "tagging"}.get(operation.name, "")
    if operation.name == "CompleteMultipartUpload":
        query = "uploadId=1"
    path = "/bucket" if operation.name in {"DeleteObjects", "CreateBucket"} else "/bucket/key"
    parse_xml_request(operation, HttpRequest("POST", path, query, {}, data[1:]))


def _xml_seeds() -> list[bytes]:
    return [
        b"\0<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>",
        b"\1<CompleteMultipartUpload xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Part>"
        b"<PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part></CompleteMultipartUpload>",
        b"\2<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        b"\3<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"\3<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
        b"</CreateBucketConfiguration>",
    ]


_VERIFIERS = [
    SignatureVerifier(services={service}, signer=signer, clock=lambda: NOW, clock_skew_s=900)
    for service in ("lookoutvision", "s3")
]


def _signed(data: bytes) -> None:
    """Read a request of lines: method, path, query, headers; then verify its signature."""
    method, path, query, *headers = [*data.decode("latin-1").split("\n"), "", "", ""][:40]
    pairs = [line.partition(":") for line in headers if line]
    request = HttpRequest(
        method, path, query, {name.lower(): text.strip() for name, _, text in pairs}, b""
    )
    empty = hashlib.sha256(b"").hexdigest()
    with suppress(WireError):
        _VERIFIERS[0].verify(request, body_sha256=empty)
    try:
        verify(_VERIFIERS[1], request)
    except WireError as error:
        as_s3_error(error)


def _signed_seeds() -> list[bytes]:
    seeds = []
    for service in ("lookoutvision", "s3"):
        headers = signed_headers(
            "GET",
            "/a/b%20c",
            "list-type=2&prefix=a%2Fb",
            {"host": "campaign.test"},
            b"",
            key_id=KEY_ID,
            secret=SECRET,
            service=service,
            now=NOW,
        )
        lines = [f"{name}:{text}" for name, text in headers.items()]
        seeds.append("\n".join(["GET", "/a/b%20c", "list-type=2&prefix=a%2Fb", *lines]).encode())
    scope = f"{KEY_ID}%2F20260302%2Fus-east-1%2Fs3%2Faws4_request"
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date=20260302T094100Z"
    query += "&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0" * 64
    seeds.append(f"GET\n/a/b\n{query}\nhost:campaign.test".encode())
    return seeds


def _chunks(data: bytes) -> None:
    blocks = [data[start : start + 7] for start in range(0, len(data), 7)]
    for _ in ChunkedBody(iter([*blocks, b"", b""]).__next__, signer=None, has_trailers=True):
        pass


def _bundle_info(data: bytes) -> None:
    files = {INFO: data, MODEL: b"model"}
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    files[CHECKSUMS] = "".join(sums).encode()
    parse_bundle(files.__getitem__, name="fuzzed")


def _bundle_seeds() -> list[bytes]:
    document = {
        "format": 1,
        "graph": {"file": "model.onnx", "width": 64, "height": 64, "resize": "rule"},
        "pictures": {"stored_size": [64, 64], "upright_size": [64, 64]},
        "threshold": 1.0,
        "background": "#ffffff",
        "anomaly_types": [{"name": "crack", "color": "#00ff00"}],
        "history": {},
        "test_scores": {"normal": [1.0], "anomaly": [2.0]},
    }
    return [json.dumps(document | {"format": number}).encode() for number in range(1, 8)]


def _graph(data: bytes) -> None:
    with NamedTemporaryFile(suffix=".onnx") as file:
        file.write(data)
        file.flush()
        load_backbone(Path(file.name))


def _graph_seeds() -> list[bytes]:
    helper = onnx.helper
    node = helper.make_node("Identity", ["image"], ["layer1"])
    sides = [1, 3, 64, 64]
    graph = helper.make_graph(
        [node],
        "network",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("layer1", onnx.TensorProto.FLOAT, sides)],
    )
    opset = helper.make_opsetid("", 17)
    return [helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()]


_MESSAGES = [message_class(name) for name in ("DetectAnomaliesRequest", "StartModelRequest")]


def _message(data: bytes) -> None:
    for message in _MESSAGES:
        with suppress(DecodeError):
            message.FromString(data)


def _message_seeds() -> list[bytes]:
    return [b"\n\x05model\x12\x04\x08\x01\x10\x02", b"\n\x05model"]


def _policy_seeds() -> list[bytes]:
    statement = {
        "Effect": "Allow",
        "Action": ["s3:Get*"],
        "Resource": "arn:aws:s3:::a/${aws:username, 'x'}/*",
        "Condition": {"ForAllValues:StringLike": {"aws:TagKeys": ["a", "b*"]}},
    }
    return [json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()]


TARGETS = {
    "manifest": Target(run=_manifest, expected=(), seeds=_manifest_seeds),
    "image header": Target(run=read_image_header, expected=(ImageError,), seeds=_image_seeds),
    "XML": Target(run=_xml, expected=(S3Error, ProtocolError), seeds=_xml_seeds),
    "signature": Target(run=_signed, expected=(S3Error,), seeds=_signed_seeds),
    "bundle": Target(run=_bundle_info, expected=(EngineError,), seeds=_bundle_seeds),
    "graph": Target(run=_graph, expected=(EngineError,), seeds=_graph_seeds),
    "edge message": Target(run=_message, expected=(), seeds=_message_seeds),
    "aws-chunked": Target(
        run=_chunks,
        expected=(S3Error, StopIteration),
        seeds=lambda: [b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"],
    ),
    "policy": Target(
        run=lambda data: parse_policy(data.decode(errors="replace")),
        expected=(PolicyError,),
        seeds=_policy_seeds,
    ),
}
