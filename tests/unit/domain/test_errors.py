from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    InternalServerError,
    ResourceNotFoundError,
    ResourceType,
    ServiceError,
    ServiceQuotaExceededError,
    ThrottlingError,
    ValidationError,
    quota_code,
)
from blemish.domain.limits import Quota

MODEL: dict[str, Any] = json.loads((files("blemish.api") / "service-2.json").read_text())
SHAPES: dict[str, Any] = MODEL["shapes"]
WHERE: dict[str, Any] = {"resource_type": ResourceType.MODEL, "resource_id": "circuits/1"}

ERRORS: list[tuple[ServiceError, int, dict[str, object]]] = [
    (AccessDeniedError("No."), 403, {}),
    (InternalServerError("No."), 500, {}),
    (ThrottlingError("No.", retry_after_s=3), 429, {"RetryAfterSeconds": 3}),
    (
        ThrottlingError("No.", retry_after_s=3, quota=Quota.REQUESTS),
        429,
        {
            "RetryAfterSeconds": 3,
            "QuotaCode": quota_code(Quota.REQUESTS),
            "ServiceCode": "lookoutvision",
        },
    ),
    (ValidationError("No."), 400, {}),
    (ConflictError("No.", **WHERE), 409, {"ResourceType": "MODEL", "ResourceId": "circuits/1"}),
    (
        ResourceNotFoundError("No.", **WHERE),
        404,
        {"ResourceType": "MODEL", "ResourceId": "circuits/1"},
    ),
    (
        ServiceQuotaExceededError("No.", quota=Quota.MODELS, **WHERE),
        402,
        {
            "ResourceType": "MODEL",
            "ResourceId": "circuits/1",
            "QuotaCode": quota_code(Quota.MODELS),
            "ServiceCode": "lookoutvision",
        },
    ),
]


@pytest.mark.parametrize(("error", "status", "members"), ERRORS)
def test_an_error_has_the_members_of_its_shape(
    error: ServiceError, status: int, members: dict[str, object]
) -> None:
    shape = SHAPES[error.shape]

    assert shape["error"]["httpStatusCode"] == status
    assert error.members() == {"Message": "No."} | members
    assert set(shape["required"]) <= set(error.members()) <= set(shape["members"])


def test_there_is_one_class_for_each_error_shape() -> None:
    shapes = {error.shape for error, _, _ in ERRORS}

    assert sorted(shapes) == sorted(name for name in SHAPES if SHAPES[name].get("exception"))


def test_the_kinds_of_resources_are_those_of_the_model() -> None:
    of_the_console = [ResourceType.LINE]  # no operation of the API names a line

    assert list(ResourceType) == SHAPES["ResourceType"]["enum"] + of_the_console


def test_an_error_reads_as_its_message() -> None:
    assert str(ValidationError("The body is empty.")) == "The body is empty."


def test_a_quota_code_is_the_beginning_of_the_hash_of_the_quotas_name() -> None:
    assert quota_code(Quota.PROJECTS) == "L-2577C0F5"
