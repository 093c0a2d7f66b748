"""The roles of users: policy documents that the product brings along, from least to most."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from blemish.domain.access.policies import WITH_VARIABLES, Policy, parse_policy


class UserRole(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    LABELLER = "labeller"
    ENGINEER = "engineer"
    ADMIN = "admin"


_READING = ("lookoutvision:Describe*", "lookoutvision:List*", "s3:Get*", "s3:List*")

_ACTIONS: Mapping[UserRole, tuple[str, ...]] = {
    UserRole.VIEWER: _READING,
    UserRole.OPERATOR: (
        *_READING,
        "lookoutvision:DetectAnomalies",
        "lookoutvision:ReviewLine",
        "lookoutvision:SendLineImage",
        "lookoutvision:StartLine",
        "lookoutvision:StartModel",
        "lookoutvision:StartTrialDetection",
        "lookoutvision:StopLine",
        "lookoutvision:StopModel",
        "lookoutvision:VerifyTrialImages",
    ),
    UserRole.LABELLER: (
        *_READING,
        "lookoutvision:AddTrialImagesToDataset",
        "lookoutvision:CreateDataset",
        "lookoutvision:DeleteDatasetEntries",
        "lookoutvision:DetectAnomalies",
        "lookoutvision:ReviewLine",
        "lookoutvision:StartTrialDetection",
        "lookoutvision:UpdateDatasetEntries",
        "lookoutvision:ValidateDataset",
        "lookoutvision:VerifyTrialImages",
        "s3:CreateBucket",
        "s3:PutObject",
    ),
    UserRole.ENGINEER: ("lookoutvision:*", "s3:*"),
    UserRole.ADMIN: ("*",),
}

DESCRIPTIONS: Mapping[UserRole, str] = {
    UserRole.VIEWER: "looks at everything and changes nothing",
    UserRole.OPERATOR: "also judges images, runs models and lines, and reviews verdicts",
    UserRole.LABELLER: (
        "also adds, labels, paints and removes images, and tries models on them; may replace any "
        "object in the buckets"
    ),
    UserRole.ENGINEER: "does everything with projects, models and buckets",
    UserRole.ADMIN: "does everything, users and access keys included",
}
"""What the holders of a role do, in words; "also" adds to what viewers do."""


def _document(actions: tuple[str, ...]) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": WITH_VARIABLES, "Statement": [statement]}, indent=2)


DOCUMENTS: Mapping[UserRole, str] = {role: _document(actions) for role, actions in _ACTIONS.items()}
"""The policy documents of the roles."""


@cache
def policy_of_role(role: UserRole) -> Policy:
    """Return the policy of a role."""
    return parse_policy(DOCUMENTS[role])
