"""Adding, listing and removing the tags of models."""

from __future__ import annotations

from collections.abc import Collection

from blemish.domain.arns import ArnScope, parse_model_arn
from blemish.domain.entities import Model, Tag
from blemish.domain.errors import ResourceNotFoundError, ResourceType, ValidationError
from blemish.domain.limits import Limits
from blemish.domain.tags import check_tag_count, check_tag_keys
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows

MAX_SHOWN = 200
"""Longest part of an invalid ARN in a message."""


class TaggingService:
    """The tags of the models."""

    def __init__(self, database: Database, *, limits: Limits, arns: ArnScope) -> None:
        self._database = database
        self._limits = limits
        self._arns = arns

    def tags(self, arn: str) -> list[Tag]:
        """Return the tags of a model, in the order of their keys.

        Raises:
            ValidationError: it is not the ARN of a model.
            ResourceNotFoundError: no model of this server has this ARN.
        """
        with self._database.reading() as rows:
            tags = rows.tags.of(self._require(rows, arn))
        return [Tag(key=key, value=value) for key, value in tags.items()]

    def tag(self, arn: str, tags: Collection[Tag]) -> None:
        """Add tags to a model, all or none; an existing key gets the new value.

        Raises:
            ValidationError: a key is repeated or reserved, or the ARN is not one of a model.
            ResourceNotFoundError: no model of this server has this ARN.
            ServiceQuotaExceededError: the model would have more tags than it may.
        """
        check_tag_keys(tag.key for tag in tags)
        new = {tag.key: tag.value for tag in tags}
        with self._database.writing() as rows:
            model = self._require(rows, arn)
            count = len(rows.tags.of(model) | new)
            check_tag_count(count, most=self._limits.max_tags_per_model, resource_id=arn)
            rows.tags.put(model, new)

    def untag(self, arn: str, keys: Collection[str]) -> None:
        """Remove the tags with these keys; unknown keys are ignored.

        Raises:
            ValidationError: a key is repeated or reserved, or the ARN is not one of a model.
            ResourceNotFoundError: no model of this server has this ARN.
        """
        check_tag_keys(keys)
        with self._database.writing() as rows:
            rows.tags.remove(self._require(rows, arn), keys)

    def _require(self, rows: Rows, arn: str) -> Model:
        named = parse_model_arn(arn)
        if named is None:
            raise ValidationError(
                f"ResourceArn is {arn[:MAX_SHOWN]!r}; it must be the ARN of a model, "
                "arn:aws:lookoutvision:REGION:ACCOUNT:model/PROJECT/VERSION. Only models have tags."
            )
        ours = named.scope == self._arns
        model = rows.models.find(named.project, named.version) if ours else None
        if model is None:
            raise ResourceNotFoundError(
                f"There is no model {arn}."
                if ours
                else f"There is no model {arn} here: ARNs of this server are of the region "
                f"{self._arns.region} and the account {self._arns.account}.",
                resource_type=ResourceType.MODEL,
                resource_id=arn,
            )
        return model
