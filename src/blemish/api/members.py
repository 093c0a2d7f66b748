"""Rules for all handlers of operations.

A handler is a method named like its operation, in snake_case. It takes the members of the request
by their names in snake_case; members that a client left out are not passed. What it returns is in
wire names. Handlers only translate between the wire and the services.
"""

from __future__ import annotations

from typing import Any

from blemish.domain.errors import ValidationError

Members = dict[str, Any]
"""Members of an answer, by their names in the model."""


def refuse(member: str, value: object) -> None:
    """Refuse a member that would otherwise be accepted and ignored."""
    if value:
        raise ValidationError(f"{member} is not supported by this server. Leave it out.")
