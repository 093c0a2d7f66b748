"""NextToken: the position of the next page.

A token is opaque to the caller and names its list. A token of another list is rejected.
"""

from __future__ import annotations

import base64
import binascii
import json

from blemish.domain.errors import ValidationError

MAX_POSITION = 2**63 - 1
"""Largest value of an integer column."""


def next_token(scope: str, position: int) -> str:
    """Return the token of the page that follows `position` in the list `scope`."""
    return base64.b64encode(json.dumps([scope, position]).encode()).decode()


def token_position(token: str | None, scope: str) -> int | None:
    """Return the position in a token; None without one.

    Raises:
        ValidationError: it is not a token of this list.
    """
    if token is None:
        return None
    try:
        value = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        value = None
    match value:
        case [str(token_scope), int(position)] if (
            token_scope == scope and 0 <= position <= MAX_POSITION
        ):
            return position
    raise ValidationError(
        "NextToken is not one that this operation returned. Begin again without a token."
    )
