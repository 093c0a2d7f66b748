from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.access.authorization import Circumstances, Wanted, denial
from blemish.domain.access.context import Context
from blemish.domain.access.object_rights import READ, WRITE, ObjectRights, object_arn
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import AccessDeniedError
from tests.unit.principals import allow, principal

CIRCUMSTANCES = Circumstances(
    at=datetime(2024, 5, 1, 12, tzinfo=UTC), source_ip="192.0.2.7", secure=False
)
IMAGES = "arn:aws:s3:::images"


def rights_of(*statements: dict[str, Any]) -> ObjectRights:
    who = principal(*statements, tags={"line": "4"})
    return ObjectRights(principal=who, circumstances=CIRCUMSTANCES)


def refs(*keys: str) -> list[ObjectRef]:
    return [ObjectRef(bucket="images", key=key) for key in keys]


KEYS = ("a.png", "4/a.png", "4/b.png", "4/secret/c.png", "5/a.png", "45/a.png", "4:1/a.png")
RESOURCES = (
    "*",
    "arn:aws:s3:::*",
    f"{IMAGES}/*",
    f"{IMAGES}/4/*",
    f"{IMAGES}/4*",
    f"{IMAGES}/4/a.png",
    f"{IMAGES}/?/*",
    f"{IMAGES}/*/a.png",
    f"{IMAGES}/${{aws:PrincipalTag/line}}/*",
    f"{IMAGES}/${{aws:PrincipalTag/absent}}/*",
    f"{IMAGES}/4/secret/*",
    "arn:aws:s3:::other/*",
    IMAGES,
)
STATEMENTS = st.builds(
    lambda effect, action, element, resource: {
        "Effect": effect,
        "Action": action,
        element: resource,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from([READ, WRITE, "s3:*"]),
    st.sampled_from(["Resource", "NotResource"]),
    st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2),
)


@given(statements=st.lists(STATEMENTS, min_size=1, max_size=4))
def test_a_list_is_decided_as_if_each_object_were_decided_by_itself(
    statements: list[dict[str, Any]],
) -> None:
    rights = rights_of(*statements)

    denied = {ref for ref, _ in rights.denials(READ, refs(*KEYS))}

    assert denied == {
        ref
        for ref in refs(*KEYS)
        if denial(rights.principal, Wanted(action=READ, resource=object_arn(ref)), CIRCUMSTANCES)
    }


def test_a_folder_of_many_images_takes_one_decision() -> None:
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{IMAGES}/5/*"}
    rights = rights_of(allow("s3:*"), denied)
    policy = rights.principal.policy

    assert policy.allows_below(READ, f"{IMAGES}/4/", Context()) is True
    assert policy.allows_below(READ, f"{IMAGES}/5/", Context()) is False
    assert policy.allows_below(READ, f"{IMAGES}/", Context()) is False


def test_the_denial_names_the_first_object_that_may_not_be_used() -> None:
    rights = rights_of(allow("s3:GetObject", f"{IMAGES}/4/*"))

    rights.require(READ, refs("4/a.png"))
    with pytest.raises(AccessDeniedError, match=r"arn:aws:s3:::images/5/a\.png"):
        rights.require(READ, refs("4/a.png", "5/a.png", "a.png"))
