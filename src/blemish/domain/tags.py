"""Checks of the keys of tags, and of their number.

Source: AWS General Reference, "Tag naming limits and requirements": a key is there once, and what
begins with `aws:` is reserved, in any case; 50 tags a resource (`limits.Limits`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from blemish.domain.errors import ResourceType, ServiceQuotaExceededError, ValidationError
from blemish.domain.limits import Quota

RESERVED = "aws:"


def check_tag_keys(keys: Iterable[str]) -> None:
    """Check the tag keys of a request.

    Raises:
        ValidationError: one is repeated or reserved.
    """
    for key, count in Counter(keys).items():
        if count > 1:
            raise ValidationError(f"The tag key '{key}' is there {count} times. Name it once.")
        if key.lower().startswith(RESERVED):
            raise ValidationError(
                f"The tag key '{key}' is reserved: keys that begin with '{RESERVED}' cannot be "
                "set or removed. Choose another."
            )


def check_tag_count(count: int, *, most: int, resource_id: str) -> None:
    """Check the number of tags of a model.

    Raises:
        ServiceQuotaExceededError: there are too many.
    """
    if count > most:
        raise ServiceQuotaExceededError(
            f"The model would have {count} tags; it can have at most {most}. Remove some first.",
            resource_type=ResourceType.MODEL,
            resource_id=resource_id,
            quota=Quota.TAGS,
        )
