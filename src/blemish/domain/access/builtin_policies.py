"""The built-in policies `FullAccess` and `ReadOnly`."""

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
"""Documents of the built-in policies, by name."""


@lru_cache(maxsize=1_024)
def policy_of(text: str) -> Policy:
    """Return the policy of a document or of a built-in name.

    Raises:
        PolicyError: it is neither; the error lists every problem.
    """
    return parse_policy(BUILT_IN.get(text, text))
