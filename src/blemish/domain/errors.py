"""The errors that a caller of the service can receive.

* ServiceError
  - AccessDeniedError           403
  - InternalServerError         500
  - ThrottlingError             429
  - ValidationError             400
  - ResourceError
    + ConflictError             409
    + ResourceNotFoundError     404
    + ServiceQuotaExceededError 402

There is one class for each error shape of the service model. What goes wrong before an operation
is known (signature, routing) has a small tree in wire/. The class says *what* went wrong; the HTTP
status and the wire name come from the model (`wire/rest_json.py`), so neither is repeated here.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import ClassVar

from blemish.domain.limits import Quota

SERVICE_CODE = "lookoutvision"


class ResourceType(StrEnum):
    """The type of the resource of a `ResourceError`."""

    PROJECT = "PROJECT"
    DATASET = "DATASET"
    MODEL = "MODEL"
    TRIAL = "TRIAL"
    MODEL_PACKAGE_JOB = "MODEL_PACKAGE_JOB"
    LINE = "LINE"


class ServiceError(Exception):
    """Base of every error that is reported to the caller."""

    shape: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def members(self) -> dict[str, object]:
        """Return the members of the error shape, by their name in the model."""
        return {"Message": self.message}


class AccessDeniedError(ServiceError):
    """The caller's policies do not allow this."""

    shape = "AccessDeniedException"


class InternalServerError(ServiceError):
    """An internal error; only the log says which."""

    shape = "InternalServerException"


class ThrottlingError(ServiceError):
    """Too many requests; the caller can try again after `retry_after_s` seconds."""

    shape = "ThrottlingException"

    def __init__(self, message: str, *, retry_after_s: int, quota: Quota | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.quota = quota

    def members(self) -> dict[str, object]:
        of_quota = _quota_members(self.quota) if self.quota else {}
        return super().members() | of_quota | {"RetryAfterSeconds": self.retry_after_s}


class ValidationError(ServiceError):
    """A member of the request, or the data it names, is invalid."""

    shape = "ValidationException"


class ResourceError(ServiceError):
    """An error about one named resource."""

    def __init__(self, message: str, *, resource_type: ResourceType, resource_id: str) -> None:
        super().__init__(message)
        self.resource_type = resource_type
        self.resource_id = resource_id

    def members(self) -> dict[str, object]:
        return super().members() | {
            "ResourceType": str(self.resource_type),
            "ResourceId": self.resource_id,
        }


class ConflictError(ResourceError):
    """The resource exists already, or its status does not allow the operation."""

    shape = "ConflictException"


class ResourceNotFoundError(ResourceError):
    """The resource does not exist."""

    shape = "ResourceNotFoundException"


class ServiceQuotaExceededError(ResourceError):
    """The operation would exceed a quota."""

    shape = "ServiceQuotaExceededException"

    def __init__(
        self, message: str, *, resource_type: ResourceType, resource_id: str, quota: Quota
    ) -> None:
        super().__init__(message, resource_type=resource_type, resource_id=resource_id)
        self.quota = quota

    def members(self) -> dict[str, object]:
        return super().members() | _quota_members(self.quota)


def quota_code(quota: Quota) -> str:
    """Return the code of a quota: `L-` and eight hexadecimal digits, derived from its name."""
    return f"L-{hashlib.sha256(quota.encode()).hexdigest()[:8].upper()}"


def _quota_members(quota: Quota) -> dict[str, object]:
    return {"QuotaCode": quota_code(quota), "ServiceCode": SERVICE_CODE}
