"""The condition keys of a request and their values.

Names of keys ignore case, those of tags too. If two tags of a resource differ only in case, the one
spelled as in the policy counts.

Source: AWS IAM User Guide, "AWS global condition context keys"; Service Authorization Reference,
"Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KEYS = (
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:PrincipalArn",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:TagKeys",
    "aws:username",
    "s3:delimiter",
    "s3:max-keys",
    "s3:prefix",
)
"""The condition keys, except those of single tags."""

TAGS = ("aws:PrincipalTag", "aws:RequestTag", "aws:ResourceTag")
"""Prefixes of condition keys for the value of one tag."""

_KNOWN = frozenset(name.lower() for name in KEYS)
_TAGS = frozenset(name.lower() for name in TAGS)
_SEVERAL = frozenset({"aws:tagkeys"})


@dataclass(frozen=True, kw_only=True)
class Context:
    """The condition keys of one request."""

    #: name in lower case -> values, without missing keys
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: `aws:principaltag` and others -> tag key -> value
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def values(self, key: str) -> Sequence[str]:
        """Return all values of a key; none if it is missing."""
        family, slash, tag = key.partition("/")
        if not slash:
            return self.keys.get(key.lower(), ())
        tags = self.tags.get(family.lower(), {})
        if tag in tags:
            return (tags[tag],)
        alike = sorted(name for name in tags if name.lower() == tag.lower())
        return (tags[alike[0]],) if alike else ()


def key_problem(key: str, *, several: bool) -> str | None:
    """Return why a condition key cannot be used; None if it can.

    Args:
        key: its name in the policy.
        several: whether the condition is made for keys with several values.
    """
    family, slash, tag = key.partition("/")
    if slash and family.lower() in _TAGS and tag:
        return None
    if key.lower() not in _KNOWN:
        known = ", ".join((*KEYS, *(f"{name}/KEY" for name in TAGS)))
        return f"{key!r} is no condition key; there are {known}"
    if key.lower() in _SEVERAL and not several:
        return f"{key} has several values, so say ForAnyValue: or ForAllValues: of it, or Null"
    return None


def is_resource_tag(key: str) -> bool:
    """Return whether a key is a tag of the resource, which must be read first."""
    return key.lower().startswith("aws:resourcetag/")
