"""The same calls to our S3 and to moto's, and where moto is known to answer otherwise than S3."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from tests.acceptance.s3_sequences import Answer, Player, Step, sequence
from tests.acceptance.served import ServedDirectory

OUTCOME = "status and code"


class Difference(NamedTuple):
    """A way in which moto may differ."""

    reason: str
    #: which members of an answer may differ, or the outcome
    of: frozenset[str]
    #: whether it is to be expected, given the call, our answer and moto's
    when: Callable[[Step, Answer, Answer], bool]


DIFFERENCES = (
    Difference(
        "S3 answers 404 NoSuchUpload to parts of an upload that is not there; moto fails with 500.",
        frozenset({OUTCOME}),
        lambda _, ours, moto: ours.code == "NoSuchUpload" and moto.status == 500,
    ),
    Difference(
        "S3 answers 404 NoSuchUpload to an upload that was completed; moto completes it again.",
        frozenset({OUTCOME}),
        lambda step, ours, moto: (
            step.operation == "CompleteMultipartUpload"
            and (ours.code, moto.status) == ("NoSuchUpload", 200)
        ),
    ),
    Difference(
        "A list of parts that is out of order and names absent or small ones is wrong twice over;"
        " S3's documentation does not say which it tells.",
        frozenset({OUTCOME}),
        lambda _, ours, moto: (
            ours.code == "InvalidPartOrder" and moto.code in {"InvalidPart", "EntityTooSmall"}
        ),
    ),
    Difference(
        "If-Match that holds outweighs If-Unmodified-Since that does not (GetObject, HeadObject);"
        " moto fails.",
        frozenset({OUTCOME}),
        lambda step, ours, moto: (
            {"IfMatch", "IfUnmodifiedSince"} <= step.members.keys()
            and (ours.status, moto.status) in {(200, 412), (206, 412)}
        ),
    ),
    Difference(
        "No range of an empty object can be told in an answer; moto answers with the whole of it.",
        frozenset({OUTCOME}),
        lambda step, ours, moto: (
            "Range" in step.members
            and ours.code == "InvalidRange"
            and moto.members.get("ContentLength") == 0
        ),
    ),
    Difference(
        "In quiet mode S3 tells only errors; moto tells what it deleted, too.",
        frozenset({"Deleted"}),
        lambda step, *_: step.operation == "DeleteObjects" and step.members["Delete"]["Quiet"],
    ),
    Difference(
        "S3 lists uploads in the order of their keys; moto in that of their beginning.",
        frozenset({"Uploads"}),
        lambda step, ours, moto: (
            step.operation == "ListMultipartUploads" and _by_key(ours) == _by_key(moto)
        ),
    ),
    Difference(
        "S3 encodes the prefix that it repeats (ListObjects, encoding-type); moto does not.",
        frozenset({"Prefix"}),
        lambda step, *_: step.operation == "ListObjects",
    ),
    Difference(
        "S3 tells NextMarker only with a delimiter, a key or a prefix; moto tells a token.",
        frozenset({"NextMarker"}),
        lambda step, *_: step.operation == "ListObjects",
    ),
    Difference(
        "S3 counts common prefixes as keys of a page, and tells none that the marker lies in"
        " (ListObjects); moto counts objects alone.",
        frozenset({"CommonPrefixes", "Contents", "IsTruncated"}),
        lambda step, *_: (
            step.operation == "ListObjects"
            and "Delimiter" in step.members
            and bool(step.members.keys() & {"MaxKeys", "Marker"})
        ),
    ),
)


def _by_key(answer: Answer) -> list[str]:
    return sorted(each["Key"] for each in answer.members.get("Uploads", []))


def client_of(served: ServedDirectory) -> Any:
    """Return a client of our server that tries each call once."""
    text = (served.folder / "aws" / "credentials").read_text()
    key, secret = re.findall(r"= (\S+)", text)
    return boto3.client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def differing(ours: Answer, moto: Answer) -> set[str]:
    """Return the names of the members that differ, or the outcome alone."""
    if (ours.status, ours.code) != (moto.status, moto.code):
        return {OUTCOME}
    names = ours.members.keys() | moto.members.keys()
    return {name for name in names if ours.members.get(name) != moto.members.get(name)}


def explained(step: Step, ours: Answer, moto: Answer) -> set[str]:
    """Return the names of what may differ in this answer."""
    known = (each.of for each in DIFFERENCES if each.when(step, ours, moto))
    return set().union(*known)


def unlike(seed: int, *, ours: Any, moto: Any) -> list[str]:
    """Play one sequence to both clients; return what differs and is no known difference."""
    here, there = Player(ours), Player(moto)
    found = []
    for number, step in enumerate(sequence(seed)):
        our_answer, moto_answer = here.play(step), there.play(step)
        if wrong := differing(our_answer, moto_answer) - explained(step, our_answer, moto_answer):
            found.append(f"{seed}.{number} {wrong} {step}: {our_answer}, but moto: {moto_answer}")
    return found
