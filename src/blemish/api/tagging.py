"""The operations about tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blemish.api.members import Members
from blemish.domain.entities import Tag
from blemish.service.models.tagging import TaggingService


class TaggingOperations:
    """Handlers of the operations about tags."""

    def __init__(self, *, tagging: TaggingService) -> None:
        self._tagging = tagging

    def tag_resource(self, *, resource_arn: str, tags: list[Mapping[str, str]]) -> Members:
        self._tagging.tag(resource_arn, tags_of(tags))
        return {}

    def untag_resource(self, *, resource_arn: str, tag_keys: list[str]) -> Members:
        self._tagging.untag(resource_arn, tag_keys)
        return {}

    def list_tags_for_resource(self, *, resource_arn: str) -> Members:
        return {"Tags": tag_list(self._tagging.tags(resource_arn))}


def tags_of(members: Iterable[Mapping[str, str]]) -> list[Tag]:
    """Read the shape `TagList`."""
    return [Tag(key=member["Key"], value=member["Value"]) for member in members]


def tag_list(tags: Iterable[Tag]) -> list[Members]:
    """Write the shape `TagList`."""
    return [{"Key": tag.key, "Value": tag.value} for tag in tags]
