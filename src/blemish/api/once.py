"""Requests with a client token: a repeated one gets the first answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from blemish.api.members import Members
from blemish.service.client_tokens import ALWAYS, AnsweredBeforeError, ByToken, Once
from blemish.wire.calls import Call

TOKEN = "ClientToken"  # noqa: S105 - the name of a member

Result = TypeVar("Result")


def perform_once(
    call: Call, change: Callable[[Once[Result]], Result], *, answer: Callable[[Result], Members]
) -> Members:
    """Have a change made and answer it, or repeat what was answered to the same token.

    Raises:
        ConflictError: the token was used with other parameters.
    """
    token = call.members.get(TOKEN)
    if token is None:
        return answer(change(ALWAYS))
    assert call.operation is not None
    once = ByToken(
        operation=call.operation,
        token=token,
        members={name: value for name, value in call.members.items() if name != TOKEN},
        now=call.received_at,
        answer=answer,
    )
    try:
        return answer(change(once))
    except AnsweredBeforeError as before:
        return dict(before.answer)
