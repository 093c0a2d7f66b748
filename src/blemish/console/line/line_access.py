"""Who may do what with a line: actions of policies, and the audit log.

`lookoutvision:ListLines`, `DescribeLine`, `StartLine` and `StopLine` look at lines and run them,
`ReviewLine` answers for uncertain images, `SendLineImage` gives it images of a page.
`blemish:ConfigureLine` creates, changes and removes them. It has a service of its own because a
line reads and writes files of the server and connects to other machines: a policy that allows
`lookoutvision:*` does not allow that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.errors import AccessDeniedError
from blemish.line.line import Line

LIST, DESCRIBE = "lookoutvision:ListLines", "lookoutvision:DescribeLine"
START, STOP = "lookoutvision:StartLine", "lookoutvision:StopLine"
REVIEW, SEND = "lookoutvision:ReviewLine", "lookoutvision:SendLineImage"
CONFIGURE = "blemish:ConfigureLine"

Result = TypeVar("Result")


def line_path(name: str, rest: str = "") -> str:
    """Return the path of a page of a line, below `/console`."""
    return f"/line/{quote(name, safe='')}{rest}"


def line_url(name: str, rest: str = "") -> str:
    """Return where a browser finds a page of a line."""
    return f"{ROOT}{line_path(name, rest)}"


async def visible_line(visitor: Visitor, name: str, *, action: str = DESCRIBE) -> Line:
    """Return a line that the visitor may see.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not allow it.
        ResourceNotFoundError: there is no such line.
    """
    lines = visitor.services.lines
    await visitor.authorize(action, lines.arn(name))
    return lines.line(name)


async def visible_lines(visitor: Visitor) -> list[Line]:
    """Return the lines that the visitor may see."""
    lines = visitor.services.lines
    return [
        lines.line(name) for name in lines.names() if await may_on_line(visitor, DESCRIBE, name)
    ]


async def may_on_line(visitor: Visitor, action: str, name: str) -> bool:
    """Tell whether the policies allow an action on a line, so as to offer it or not."""
    try:
        await visitor.authorize(action, visitor.services.lines.arn(name))
    except AccessDeniedError:
        return False
    return True


async def act_on_line(
    visitor: Visitor, action: str, name: str, operation: str, act: Callable[[], Result]
) -> Result:
    """Do something to a line, in a thread, if the policies allow it; the audit log records it.

    Args:
        visitor: who does it.
        action: of policies.
        name: of the line.
        operation: how the audit log names it.
        act: does it.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not allow it.
    """

    def acted() -> Result:
        with visitor.download(operation, Line=name):
            visitor.authorize_blocking(action, visitor.services.lines.arn(name))
            return act()

    return await in_thread(acted)


def check_models(visitor: Visitor, name: str, settings: str) -> None:
    """Allow the models that settings of a line name, from a thread.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the visitor may not let one of them judge images.
        ValidationError: a setting is wrong.
    """
    for model in visitor.services.lines.models(name, settings):
        visitor.check("DetectAnomalies", ProjectName=model.project, ModelVersion=model.version)
