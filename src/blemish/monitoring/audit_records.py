"""Records of calls in the format of CloudTrail.

Source: AWS CloudTrail User Guide, "CloudTrail record contents for management, data, and network
activity events" and "CloudTrail userIdentity element".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.model import ServiceModel

from blemish.domain.arns import ArnScope
from blemish.monitoring.audit_log import AuditLog, Record
from blemish.monitoring.audit_members import (
    MAX_ITEMS,
    recorded_members,
    shortened,
    time_text,
    without_headers,
)
from blemish.monitoring.calls import error_name, is_read_only, is_refused
from blemish.wire.calls import Call, Observer

EVENT_VERSION = "1.11"
MAX_NAME = 1_024
"""Longest name in an ARN; members may be anything."""

S3 = "s3.amazonaws.com"
COMMAND_LINE = "command-line"
SIGN_IN = "signin.amazonaws.com"

UNSIGNED_PER_S = 20
"""Records of unsigned or wrongly signed calls per second; further ones count as lost."""


@dataclass(frozen=True, kw_only=True)
class MachineUser:
    """A user of the operating system who runs a command."""

    uid: int
    name: str
    #: where the user is signed in from; None for this machine
    address: str | None


@dataclass(frozen=True, kw_only=True)
class AuditRecords:
    """Makes the records of one server."""

    arns: ArnScope
    new_id: Callable[[], str]
    now: Callable[[], datetime]

    def of_call(self, call: Call, *, source: str, model: ServiceModel | None) -> Record:
        """Return the record of a call; without a service model, its members are strings."""
        is_data = is_data_event(call, source=source)
        return self._head(call.received_at) | {
            "userIdentity": self._identity(call),
            "eventSource": source,
            "eventName": call.operation or "Unknown",
            "sourceIPAddress": call.source_ip or "Unknown",
            "userAgent": shortened(call.user_agent or ""),
            **_ending(call),
            **_partly_denied(call),
            **_members(call, source=source, model=model),
            "requestID": call.request_id,
            "readOnly": is_read_only(call.operation),
            "resources": [
                {"accountId": self.arns.account, "type": kind, "ARN": arn}
                for kind, arn in _resources(call.members, self.arns)
            ],
            "eventType": "AwsConsoleSignIn" if source == SIGN_IN else "AwsApiCall",
            "managementEvent": not is_data,
            "eventCategory": "Data" if is_data else "Management",
        }

    def of_command(
        self, event: str, *, user: MachineUser, members: Mapping[str, str], error: str | None
    ) -> Record:
        """Return the record of a command on the machine of the server."""
        ending = {} if error is None else {"errorCode": "CommandFailed", "errorMessage": error}
        return self._head(self.now()) | {
            "userIdentity": {
                "type": "Unknown",
                "principalId": f"uid:{user.uid}",
                "userName": user.name,
            },
            "eventSource": COMMAND_LINE,
            "eventName": event,
            "sourceIPAddress": user.address or "localhost",
            "userAgent": "blemish",
            **ending,
            "requestParameters": {name: shortened(text) for name, text in members.items()} or None,
            "responseElements": None,
            "readOnly": is_read_only(event),
            "eventType": "AwsServiceEvent",
            "managementEvent": True,
            "eventCategory": "Management",
        }

    def of_gap(self, missing: int) -> Record:
        """Return the record that reports lost records."""
        return self._head(self.now()) | {
            "userIdentity": {"type": "AWSService", "invokedBy": "blemish"},
            "eventSource": "blemish",
            "eventName": "AuditRecordsLost",
            "serviceEventDetails": {"missing": missing},
            "readOnly": True,
            "eventType": "AwsServiceEvent",
            "managementEvent": True,
            "eventCategory": "Management",
        }

    def _head(self, at: datetime) -> dict[str, Any]:
        return {
            "eventVersion": EVENT_VERSION,
            "eventTime": time_text(at),
            "awsRegion": self.arns.region,
            "eventID": self.new_id(),
            "recipientAccountId": self.arns.account,
        }

    def _identity(self, call: Call) -> Record:
        if call.caller is None:
            return {"type": "Unknown"}
        principal = call.caller.principal
        identity = {
            "type": "IAMUser",
            "principalId": principal.name,
            "arn": principal.arn,
            "accountId": self.arns.account,
            "accessKeyId": principal.access_key_id,
            "userName": principal.name,
        }
        return {name: text for name, text in identity.items() if text}


def audit(
    log: AuditLog,
    records: AuditRecords,
    *,
    source: str,
    model: ServiceModel | None,
    data_events: bool,
) -> Observer:
    """Return the observer that records the calls to a service; it may be called in any thread.

    Data events are left out unless `data_events`, but refused ones are always recorded. Unsigned
    calls are limited per second. Otherwise, clients without a key could fill the log and
    push out other records.
    """
    unsigned = _Pace(UNSIGNED_PER_S)

    def record(call: Call) -> None:
        is_left_out = is_data_event(call, source=source) and not data_events
        if is_left_out and not is_refused(call):
            return
        if call.caller is None and not unsigned.allows(call.received_at):
            log.lose()
            return
        log.add(records.of_call(call, source=source, model=model))

    return record


class _Pace:
    """A limit per second."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._second = 0
        self._count = 0

    def allows(self, at: datetime) -> bool:
        second = int(at.timestamp())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        return self._count <= self._per_s


def is_data_event(call: Call, *, source: str) -> bool:
    """Return whether a call is about objects in S3, which may be very many.

    Source: AWS CloudTrail User Guide, "Logging data events": HeadBucket is one, too.
    """
    if source != S3 or call.operation is None:
        return False
    return "Bucket" not in call.operation or call.operation == "HeadBucket"


def _ending(call: Call) -> dict[str, Any]:
    error = error_name(call)
    if error is None:
        return {}
    return {"errorCode": error, "errorMessage": shortened(str(call.error or ""))}


def _partly_denied(call: Call) -> dict[str, Any]:
    """Return the denied items of a call that was denied in part."""
    if not call.refused:
        return {}
    names = [shortened(name) for name in call.refused]
    return {"additionalEventData": {"denied": names[:MAX_ITEMS], "deniedCount": len(names)}}


def _members(call: Call, *, source: str, model: ServiceModel | None) -> dict[str, Any]:
    """Return the request, and the answer of a request that changed something."""
    recorded: dict[str, Any] = {"requestParameters": None, "responseElements": None}
    if call.operation is None:
        return recorded
    if model is None:
        texts = {
            name[:1].lower() + name[1:]: shortened(text) for name, text in call.members.items()
        }
        return recorded | {"requestParameters": texts or None}
    operation = model.operation_model(call.operation)
    if operation.input_shape and call.members:
        of_s3 = source == S3
        members = without_headers(operation.input_shape, call.members) if of_s3 else call.members
        recorded["requestParameters"] = recorded_members(operation.input_shape, members)
    changed = call.error is None and not is_read_only(call.operation)
    if changed and call.answer and source != S3:
        recorded["responseElements"] = recorded_members(operation.output_shape, call.answer)
    return recorded


def _resources(members: Mapping[str, Any], arns: ArnScope) -> Iterator[tuple[str, str]]:
    """Yield type and ARN of the resources that a call names, existing or not."""
    names = {
        name: value
        for name, value in members.items()
        if isinstance(value, str) and len(value) <= MAX_NAME
    }
    match names:
        case {"ResourceArn": arn}:
            yield "AWS::LookoutVision::Model", arn
        case {"ProjectName": project, "ModelVersion": version} if version.isdecimal():
            yield "AWS::LookoutVision::Model", arns.model(project, int(version))
        case {"ProjectName": project}:
            yield "AWS::LookoutVision::Project", arns.project(project)
        case {"Bucket": bucket}:
            yield "AWS::S3::Bucket", f"arn:aws:s3:::{bucket}"
            if key := names.get("Key"):
                yield "AWS::S3::Object", f"arn:aws:s3:::{bucket}/{key}"
