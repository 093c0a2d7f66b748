"""Which keys the tags of one request may have, and how many a model.

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
    """Allow the keys that one request names.

    Raises:
        ValidationError: one is there twice, or is reserved.
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
    """Allow so many tags of one model.

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
