"""The tags of a model."""

from __future__ import annotations

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.ui.frame import heading, text, visitor


async def tags_panel(arn: str) -> None:
    """Draw the tags of a model, which are added and removed here."""
    if not await visitor().may("ListTagsForResource", ResourceArn=arn):
        return
    with ui.element("section").classes("panel"):
        heading(say("Tags"), 2)
        await _ModelTags(arn).draw()


class _ModelTags:
    """The tags on one page."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    @ui.refreshable_method
    async def draw(self) -> None:
        """Draw the tags, and the fields for another."""
        tags = (await visitor().call("ListTagsForResource", ResourceArn=self._arn))["Tags"]
        may_untag = await visitor().may("UntagResource", ResourceArn=self._arn)
        with ui.element("div").classes("line"):
            if not tags:
                text(say("None yet."), classes="quiet")
            for tag in tags:
                self._tag(tag["Key"], tag["Value"], may_untag=may_untag)
        if not await visitor().may("TagResource", ResourceArn=self._arn):
            return
        with ui.element("div").classes("line"):
            key, value = ui.input(say("Key")), ui.input(say("Value"))
            ui.button(say("Add the tag"), on_click=lambda: self._add(key.value, value.value))

    def _tag(self, key: str, value: str, *, may_untag: bool) -> None:
        with ui.element("span").classes("tag"):
            text(f"{key}: {value}" if value else key)
            if may_untag:
                button = ui.button(icon="close", on_click=lambda: self._remove(key))
                button.props("flat round dense size=sm")
                button.props["aria-label"] = say("Remove the tag {key}", key=key)

    async def _add(self, key: str, value: str) -> None:
        tag = {"Key": key.strip(), "Value": value.strip()}
        await visitor().call("TagResource", ResourceArn=self._arn, Tags=[tag])
        await self.draw.refresh()

    async def _remove(self, key: str) -> None:
        await visitor().call("UntagResource", ResourceArn=self._arn, TagKeys=[key])
        await self.draw.refresh()
