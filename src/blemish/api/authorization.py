"""The permissions that each operation of the API needs, derived from its members.

    action      lookoutvision:OPERATION
    resource    the model that ModelVersion or ResourceArn names; the project, of four operations;
                else none, so that only a policy for all resources allows it
    tags        of the request in Tags, for which lookoutvision:TagResource is needed too; of the
                resource in the rows
    objects     that Bucket and Key name, Bucket and Prefix, or a text that begins with s3://, are
                read: s3:GetObject; where a member's name has Output, written: s3:PutObject

Resources that do not exist are checked in the same way as those that do.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Lookout
for Vision".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from blemish.domain.access.authorization import (
    Circumstances,
    Wanted,
    authorize,
    authorize_action,
)
from blemish.domain.access.object_rights import READ, WRITE, ObjectRights
from blemish.domain.access.policies import ANY_RESOURCE
from blemish.domain.access.principals import Principal
from blemish.domain.arns import ArnScope, parse_model_arn
from blemish.storage.database.database import Database
from blemish.wire.calls import Call

PREFIX = "lookoutvision:"
TAGGING = "TagResource"

ON_PROJECTS = frozenset(
    {"CreateProject", "DeleteProject", "DescribeProject", "UpdateDetectorSettings"}
)
ON_NEW_MODELS = frozenset({"CreateModel"})

ON_DETECTING_MODELS = frozenset({"StartTrialDetection", "StartBatchDetection"})
"""Operations whose caller must be allowed to detect with the model, too."""

DETECTION = "DetectAnomalies"

NAMES_ALONE = frozenset({"SourceRefs", "SourceRefContains"})
"""Members that name objects only to find their entries."""

S3_URL = "s3://"
LATEST = "latest"
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, kw_only=True)
class AuthorizationTarget:
    """What an operation is about."""

    resource: str
    #: as the caller named it
    named_resource: str
    tags: Mapping[str, str]


def circumstances_of(call: Call) -> Circumstances:
    """Return the facts about a request that conditions of policies may name."""
    return Circumstances(at=call.received_at, source_ip=call.source_ip, secure=call.secure)


def object_rights(call: Call) -> ObjectRights:
    """Return what the caller may do with objects that the request does not name itself."""
    assert call.caller is not None
    return ObjectRights(principal=call.caller.principal, circumstances=circumstances_of(call))


def api_action_gate(principal: Principal, operation: str) -> None:
    """Refuse a principal who may not carry out an operation of the API on anything.

    Raises:
        AccessDeniedError: its policy does not allow it.
    """
    authorize_action(principal, f"{PREFIX}{operation}")


class ApiGate:
    """Refuses calls whose caller lacks a permission."""

    def __init__(self, model: ServiceModel, database: Database, *, arns: ArnScope) -> None:
        self._model = model
        self._database = database
        self._arns = arns

    def __call__(self, call: Call) -> None:
        """Let a call pass.

        Raises:
            AccessDeniedError: the policy of its caller does not allow it.
        """
        assert call.caller is not None
        assert call.operation is not None
        principal = call.caller.principal
        circumstances = circumstances_of(call)
        for wanted in self._wanted(call.operation, call.members, principal):
            authorize(principal, wanted, circumstances)

    def _wanted(
        self, operation: str, members: Mapping[str, Any], principal: Principal
    ) -> Iterator[Wanted]:
        target = self._target(operation, members, principal)
        tags = {tag.get("Key", ""): tag.get("Value", "") for tag in members.get("Tags", ())}
        keys = tuple(tags) or tuple(members.get("TagKeys", ()))
        names = [operation]
        if tags and operation != TAGGING:
            names.append(TAGGING)
        if operation in ON_DETECTING_MODELS:
            names.append(DETECTION)
        for name in names:
            yield Wanted(
                action=f"{PREFIX}{name}",
                resource=target.resource,
                description=target.named_resource,
                keys={"aws:tagkeys": keys} if keys else {},
                request_tags=tags,
                resource_tags=target.tags,
            )
        shape = self._model.operation_model(operation).input_shape
        if shape is not None:
            yield from _objects(shape, members)

    def _target(
        self, operation: str, members: Mapping[str, Any], principal: Principal
    ) -> AuthorizationTarget:
        project, version = members.get("ProjectName", ""), members.get("ModelVersion")
        if operation in ON_PROJECTS:
            return _target(self._arns.project(project))
        if operation in ON_NEW_MODELS:  # which version it will be, nobody knows yet
            return _target(self._arns.model(project, "*"))
        if "ResourceArn" in members:
            return self._tagged(members["ResourceArn"], principal)
        if version is None:
            return _target(ANY_RESOURCE)
        return self._model_target(project, version, principal)

    def _tagged(self, arn: str, principal: Principal) -> AuthorizationTarget:
        named = parse_model_arn(arn)
        if named is None or named.scope != self._arns:
            return _target(arn)
        return self._model_target(named.project, str(named.version), principal)

    def _model_target(
        self, project: str, version: str, principal: Principal
    ) -> AuthorizationTarget:
        """Return a model as policies see it; the caller does not learn whether it exists."""
        named_resource = self._arns.model(project, version)
        looked_up = version == LATEST or (
            principal.policy.reads_resource_tags and _VERSION.fullmatch(version)
        )
        if not looked_up:
            return _target(named_resource)
        one_statement = not principal.policy.reads_resource_tags
        read = self._database.looking_up if one_statement else self._database.reading
        with read() as rows:
            if version == LATEST:
                model = rows.models.latest(project)
            else:
                model = rows.models.find(project, int(version))
            if model is None:
                return _target(named_resource)
            tags = rows.tags.of(model) if principal.policy.reads_resource_tags else {}
        return AuthorizationTarget(
            resource=self._arns.model(model.project, model.version),
            named_resource=named_resource,
            tags=tags,
        )


def _target(resource: str) -> AuthorizationTarget:
    return AuthorizationTarget(resource=resource, named_resource=resource, tags={})


def _objects(shape: Shape, value: Any, *, written: bool = False) -> Iterator[Wanted]:
    """Yield what is to be read and written in buckets, wherever members name it."""
    match shape:
        case StructureShape() if "Bucket" in shape.members:
            key = value.get("Key", f"{value.get('Prefix', '')}*")
            yield _object(value.get("Bucket", ""), key, written=written)
        case StructureShape():
            for name, member in shape.members.items():
                if name in value and name not in NAMES_ALONE:
                    inside = written or "Output" in name
                    yield from _objects(member, value[name], written=inside)
        case ListShape():
            for item in value:
                yield from _objects(shape.member, item, written=written)
        case Shape(type_name="string") if value.startswith(S3_URL):
            bucket, _, key = value.removeprefix(S3_URL).partition("/")
            yield _object(bucket, key, written=written)


def _object(bucket: str, key: str, *, written: bool) -> Wanted:
    return Wanted(action=WRITE if written else READ, resource=f"arn:aws:s3:::{bucket}/{key}")
