"""The projects."""

from __future__ import annotations

from blemish.console.frame import empty, frame, heading, link, page, project_path, text, visitor


@page("/", title="Projects")
async def projects() -> None:
    """Show the projects as cards."""
    found = (await visitor().call("ListProjects", MaxResults=100))["Projects"]
    with frame("Projects"):
        heading("Projects")
        if not found:
            with empty("No projects yet", "A project is a product that you inspect."):
                text("")
        for each in found:
            link(each["ProjectName"], project_path(each["ProjectName"]))
