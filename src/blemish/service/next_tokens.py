"""NextToken: where the next page begins.

A token is opaque to the caller and says which list it belongs to; one of another list is refused.
"""

from __future__ import annotations

import base64
import binascii
import json

from blemish.domain.errors import ValidationError

MAX_POSITION = 2**63 - 1
"""What a column of whole numbers holds."""


def next_token(scope: str, position: int) -> str:
    """Return the token of the page that follows `position` in the list that `scope` names."""
    return base64.b64encode(json.dumps([scope, position]).encode()).decode()


def token_position(token: str | None, scope: str) -> int | None:
    """Return the position that a token holds; None for no token.

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
