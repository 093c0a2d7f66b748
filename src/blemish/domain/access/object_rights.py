"""The rights of a caller on objects that a request names only in a manifest or in a prefix.

Such objects are known after the gate: at import, or when the names of new files are known. A job
that runs later checks with the policy that the caller's key has then, and under the circumstances
of the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from blemish.domain.access.authorization import (
    Circumstances,
    Wanted,
    allows_below,
    denial,
)
from blemish.domain.access.principals import Principal
from blemish.domain.entities import ObjectRef, Requester
from blemish.domain.errors import AccessDeniedError

READ = "s3:GetObject"
WRITE = "s3:PutObject"


@dataclass(frozen=True, kw_only=True)
class ObjectRights:
    """A principal, under the circumstances of a request."""

    principal: Principal
    circumstances: Circumstances

    @property
    def requester(self) -> Requester:
        """The facts with which a later job finds these rights again."""
        return Requester(
            key_name=self.principal.name,
            at=self.circumstances.at,
            source_ip=self.circumstances.source_ip,
            secure=self.circumstances.secure,
        )

    def require(self, action: str, refs: Iterable[ObjectRef]) -> None:
        """Check that the policy allows an action on every object.

        Raises:
            AccessDeniedError: it does not allow it on one of them.
        """
        for _, reason in self.denials(action, refs):
            raise AccessDeniedError(reason)

    def denials(self, action: str, refs: Iterable[ObjectRef]) -> Iterator[tuple[ObjectRef, str]]:
        """Yield the objects on which the policy does not allow an action, and the reason.

        A folder is decided once if no statement distinguishes its objects, so that a list of
        100,000 images takes no 100,000 decisions.
        """
        open_folders: dict[str, bool] = {}
        for ref in refs:
            resource = object_arn(ref)
            folder = resource[: resource.rindex("/") + 1]
            if folder not in open_folders:
                open_folders[folder] = allows_below(
                    self.principal, action, folder, self.circumstances
                )
            if open_folders[folder]:
                continue
            wanted = Wanted(action=action, resource=resource)
            if reason := denial(self.principal, wanted, self.circumstances):
                yield ref, reason


def object_arn(ref: ObjectRef) -> str:
    """Return the ARN of an object."""
    return f"arn:aws:s3:::{ref.bucket}/{ref.key}"
