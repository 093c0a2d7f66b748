"""The console, loaded when the first request for it comes.

A server that nobody looks at in a browser starts quickly and stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blemish.console.services import Services
from blemish.wire.asgi import Receive, Scope, Send

if TYPE_CHECKING:
    from blemish.console.entrance import Entrance


class Console:
    """Answers all that begins with `/console`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._entrance: Entrance | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        if self._entrance is None:
            from blemish.console.entrance import Entrance  # noqa: PLC0415 - see the module

            self._entrance = Entrance(self._services)
        await self._entrance(scope, receive, send)

    async def stop(self) -> None:
        """Stop the framework, if it was loaded."""
        if self._entrance is not None:
            await self._entrance.stop()
