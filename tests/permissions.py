"""The table of permissions in docs/guide/permissions.md, and requests that need them.

python -m tests.permissions        writes the table anew
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.model import Shape

from blemish.api.authorization import ApiGate
from blemish.api.service_model import service_model
from blemish.domain.access.authorization import Wanted
from blemish.domain.access.context import Context
from blemish.domain.access.policies import Decision
from blemish.domain.access.roles import UserRole, policy_of_role
from blemish.domain.arns import ArnScope
from blemish.s3.authorization import ACTIONS, About
from blemish.s3.authorization import _arn as s3_arn
from blemish.s3.authorization import _wanted as s3_wanted
from tests.asgi_client import PRINCIPAL

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "permissions.md"
ARNS = ArnScope(region="REGION", account="ACCOUNT")
Need = tuple[str, str]
"""An action, and the resource that it is on."""

TEXTS = {
    "ProjectName": "PROJECT",
    "ModelVersion": "VERSION",
    "ResourceArn": ARNS.model("PROJECT", "1"),
    "Bucket": "BUCKET",
    "Key": "KEY",
    "Prefix": "PREFIX",
    "Images": "s3://BUCKET/IMAGE",
    "Ignored": "s3://BUCKET/IGNORED",
    "OfInterest": "s3://BUCKET/OF-INTEREST",
}
"""Members of the API, and what stands for them in the table."""

UPLOADS_WITH_TAGS = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
COPIES = frozenset({"CopyObject", "UploadPartCopy"})

HEAD = """\
# Permissions

What each request asks of the [policy](access.md) of its access key, before anything is read. A test
compares this page with the server. It sends each request as a caller who lacks one of its
permissions, and as one who has no other.

Upper-case words stand for members of the request. A request without an optional member (tags, an
object, a mask) needs no permission for it. `*` as a resource means that only a statement for all
resources allows the action. [Access](access.md#what-each-operation-needs) tells what is asked
later, about images that a manifest names.
"""

CONSOLE = """
## The console

Pages call the operations of the API as the person of the session. Beyond that they need:

| act | action | resource |
|---|---|---|
| see an image or a mask | `s3:GetObject` | the object |
| add images | `s3:PutObject` | each object |
| | `s3:CreateBucket` | the bucket, if it does not exist |
| add images from a bucket | `s3:ListBucket` | the bucket |
| paint a mask | `s3:PutObject` | the mask |
| send images of a browser's camera to a line | `lookoutvision:SendLineImage` | the line |
| | as DetectAnomalies | the model of the line |
| see the access keys | `iam:ListAccessKeys` | `*` |
| create an access key | `iam:CreateAccessKey` | `*` |
| change an access key | `iam:UpdateAccessKey` | `*` |
| delete an access key | `iam:DeleteAccessKey` | `*` |
| see, create and revoke kiosk links | as access keys | |
| see the users | `iam:ListUsers` | `*` |
| add a user | `iam:CreateUser` | `*` |
| change a user: role, password, disable, enable | `iam:UpdateUser` | `*` |
| move a project to the trash, and restore it | as DeleteProject | |
| move a model to the trash, and restore it | as DeleteModel | |
| see who did what | `cloudtrail:LookupEvents` | `*` |
| see and end one's own sessions, change one's own password | none | |
"""

CONSOLE_ACTS = (
    ("see images and masks", "s3:GetObject"),
    ("add images, paint masks", "s3:PutObject"),
    ("send images to a line", "lookoutvision:SendLineImage"),
    ("see the access keys", "iam:ListAccessKeys"),
    ("create access keys", "iam:CreateAccessKey"),
    ("see the users", "iam:ListUsers"),
    ("add users", "iam:CreateUser"),
    ("see who did what", "cloudtrail:LookupEvents"),
)

ROLES = """
## The roles

What the [roles](access.md#roles) of users allow. It follows from their policies.

"""


class UnreadDatabase:
    """Fails if anything is read."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was read before the policy was asked")


def api_gate() -> ApiGate:
    """Return the gate of the API over a database that may not be read."""
    database: Any = UnreadDatabase()
    return ApiGate(service_model(), database, arns=ARNS)


def api_members(operation: str) -> Mapping[str, Any]:
    """Return all members of a request to the API."""
    shape = service_model().operation_model(operation).input_shape
    members: Mapping[str, Any] = _sample(shape, "") if shape else {}
    return members


def api_needs(operation: str) -> list[Need]:
    """Return what an operation of the API needs."""
    wanted = api_gate()._wanted(operation, api_members(operation), PRINCIPAL)
    return _needs(wanted)


def s3_members(operation: str) -> Mapping[str, Any]:
    """Return the members of a request to S3 that count for policies."""
    members: dict[str, Any] = {"Bucket": "BUCKET", "Key": "KEY"}
    if operation in UPLOADS_WITH_TAGS:
        members["Tagging"] = "a=b"
    if operation in COPIES:
        members["CopySource"] = "SOURCE-BUCKET/SOURCE-KEY"
    if ACTIONS[operation][1] is About.OBJECTS:
        members["Delete"] = {"Objects": [{"Key": "KEY"}]}
    return members


def s3_needs(operation: str) -> list[Need]:
    """Return what an operation of S3 needs."""
    name, about = ACTIONS[operation]
    if about is About.OBJECTS:
        return [(f"s3:{name}", s3_arn("BUCKET", "KEY"))]
    return _needs(s3_wanted(f"s3:{name}", about, s3_members(operation)))


def page() -> str:
    """Return the page."""
    api = _table(sorted(service_model().operation_names), api_needs)
    s3 = _table(sorted(ACTIONS), s3_needs)
    return f"{HEAD}\n## The API\n\n{api}\n## S3\n\n{s3}{CONSOLE}{ROLES}{_role_table()}"


def role_may(role: UserRole, needs: Iterable[Need]) -> bool:
    """Return whether the policy of a role allows everything that a request needs."""
    policy, context = policy_of_role(role), Context()
    return all(
        policy.decide(action, resource, context) is Decision.ALLOWED for action, resource in needs
    )


def _role_table() -> str:
    """Return which role may call which operation of the API, and do what in the console."""
    acts: list[tuple[str, list[Need]]] = [
        (operation, api_needs(operation)) for operation in sorted(service_model().operation_names)
    ]
    acts += [(act, [(action, "*")]) for act, action in CONSOLE_ACTS]
    lines = [f"| | {' | '.join(UserRole)} |", f"|---|{'---|' * len(UserRole)}"]
    for act, needs in acts:
        cells = ("yes" if role_may(role, needs) else "no" for role in UserRole)
        lines.append(f"| {act} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _table(operations: list[str], needs: Any) -> str:
    lines = ["| operation | action | resource |", "|---|---|---|"]
    for operation in operations:
        shown = operation
        for action, resource in needs(operation):
            lines.append(f"| {shown} | `{action}` | `{resource}` |")
            shown = ""
    return "\n".join(lines) + "\n"


def _needs(wanted: Iterator[Wanted]) -> list[Need]:
    return list(dict.fromkeys((need.action, need.resource) for need in wanted))


def _sample(shape: Shape, name: str) -> Any:
    match shape.type_name:
        case "structure":
            return {member: _sample(inner, member) for member, inner in shape.members.items()}
        case "list":
            return [_sample(shape.member, name)]
        case "blob":
            return b""
        case "string":
            return TEXTS.get(name, "TEXT")
        case _:
            return 1


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
