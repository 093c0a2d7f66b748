"""Policies that are named instead of written: `FullAccess` and `ReadOnly`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from blemish.domain.access.policies import WITH_VARIABLES, Policy, parse_policy

FULL_ACCESS = "FullAccess"
READ_ONLY = "ReadOnly"


def _document(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": WITH_VARIABLES, "Statement": [statement]}, indent=2)


BUILT_IN: Mapping[str, str] = {
    FULL_ACCESS: _document("*"),
    READ_ONLY: _document("lookoutvision:Describe*", "lookoutvision:List*", "s3:Get*", "s3:List*"),
}
"""Their documents, by name."""


@lru_cache(maxsize=1_024)
def policy_of(text: str) -> Policy:
    """Return the policy that a text is, or names.

    Raises:
        PolicyError: it is none; every problem is told.
    """
    return parse_policy(BUILT_IN.get(text, text))
