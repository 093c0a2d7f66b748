"""The signed policy of a form: who allows it, until when, and with which fields.

Source: Amazon S3 API Reference, "Creating a POST policy" and "Authenticating requests in
browser-based uploads using POST".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from blemish.domain.access.principals import Signer
from blemish.s3.protocol.errors import InvalidArgumentError, S3AccessDeniedError
from blemish.s3.protocol.signature_v2 import REGION
from blemish.wire.canonical import ALGORITHM, SCOPE_END, sign_text, signing_key
from blemish.wire.errors import InvalidSignatureError, SerializationError, UnrecognizedClientError
from blemish.wire.signature import Caller
from blemish.wire.text import read_timestamp

_CREDENTIAL = re.compile(rf"([\w.-]+)/([0-9]{{8}}/([\w-]+)/s3/{SCOPE_END})", re.ASCII)

UNCONDITIONED = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
"""Fields that need no condition."""


def form_caller(fields: Mapping[str, str], *, signer: Callable[[str], Signer | None]) -> Caller:
    """Return who signed the policy of a form, by Version 4 or by Version 2.

    Raises:
        S3AccessDeniedError: the form is not signed.
        InvalidArgumentError: a field of the signature is malformed.
        UnrecognizedClientError: nobody has its key.
        InvalidSignatureError: the signature is not that of the policy.
    """
    if "policy" not in fields:
        raise S3AccessDeniedError("The form is not signed: it has no policy.")
    if "x-amz-signature" in fields:
        key_id, scope, region = _credential(fields)
        signature = fields["x-amz-signature"]
    else:
        key_id, scope, region = fields.get("awsaccesskeyid", ""), None, REGION
        signature = fields.get("signature", "")
    holder = signer(key_id)
    if holder is None:
        raise UnrecognizedClientError("There is no such access key.")
    expected = _signature(holder.secret, fields["policy"], scope=scope)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise InvalidSignatureError("The signature of the form is not that of its policy.")
    return Caller(principal=holder.principal, region=region, service="s3", presigned=True)


def check_policy(
    fields: Mapping[str, str], *, bucket: str, key: str, now: datetime
) -> tuple[int, int] | None:
    """Accept a form that its policy allows.

    Args:
        fields: by their names in lower case.
        bucket: the bucket that the form is sent to.
        key: the key, with the name of the file in it.
        now: the current time.

    Returns:
        The least and the greatest length of the file, None if any will do.

    Raises:
        InvalidArgumentError: the policy cannot be read.
        S3AccessDeniedError: it does not allow the form.
    """
    policy = _policy(fields["policy"])
    if now > _expiration(policy):
        raise S3AccessDeniedError("Invalid according to Policy: Policy expired.")
    values = {**fields, "bucket": bucket, "key": key}
    lengths = None
    conditioned = set[str]()
    for operator, name, expected in _conditions(policy):
        if operator == "content-length-range":
            lengths = (_number(name), _number(expected))
            continue
        conditioned.add(name)
        value = values.get(name, "")
        fits = value.startswith(expected) if operator == "starts-with" else value == expected
        if not fits:
            raise S3AccessDeniedError(
                f"Invalid according to Policy: Policy Condition failed: "
                f'["{operator}", "${name}", "{expected}"]'
            )
    extra = fields.keys() - conditioned - UNCONDITIONED
    if extra := {name for name in extra if not name.startswith("x-ignore-")}:
        raise S3AccessDeniedError(
            f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}"
        )
    return lengths


def _credential(fields: Mapping[str, str]) -> tuple[str, str, str]:
    match = _CREDENTIAL.fullmatch(fields.get("x-amz-credential", ""))
    if not match or fields.get("x-amz-algorithm") != ALGORITHM:
        raise InvalidArgumentError(
            f"x-amz-algorithm must be {ALGORITHM}, and x-amz-credential an access key id and a "
            f"scope: date/region/s3/{SCOPE_END}."
        )
    return match[1], match[2], match[3]


def _signature(secret: str, policy: str, *, scope: str | None) -> str:
    if scope is not None:
        return sign_text(policy, key=signing_key(secret, scope=scope))
    digest = hmac.digest(secret.encode(), policy.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode("ascii")


def _policy(text: str) -> Mapping[str, Any]:
    try:
        policy = json.loads(base64.b64decode(text))
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict) or not isinstance(policy.get("conditions"), list):
        raise InvalidArgumentError("The policy must be a JSON object with conditions, in base64.")
    return policy


def _expiration(policy: Mapping[str, Any]) -> datetime:
    try:
        return read_timestamp(str(policy.get("expiration")), name="expiration")
    except SerializationError as error:
        raise InvalidArgumentError(f"Invalid Policy: {error.message}") from None


def _conditions(policy: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield operator, name and value of each condition; a range has two numbers instead."""
    for condition in policy["conditions"]:
        match condition:
            case dict():
                for name, value in condition.items():
                    yield "eq", name.lower(), str(value)
            case [str(operator), str(name), value] if operator.lower() in {"eq", "starts-with"}:
                yield operator.lower(), name.removeprefix("$").lower(), str(value)
            case [str(operator), least, most] if operator.lower() == "content-length-range":
                yield "content-length-range", str(least), str(most)
            case _:
                raise InvalidArgumentError(f"Invalid Policy: condition {condition!r:.200}")


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InvalidArgumentError(f"Invalid Policy: {text!r:.100} is no length.")
    return int(text)
