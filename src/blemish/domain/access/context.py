"""What a request says of itself to policies: the values of condition keys.

Names of keys are the same in upper and lower case, those of tags too; where a resource has two tags
whose keys differ in case alone, the one that is written like the policy's is meant.

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
"""The keys that a request may have, but for those of single tags."""

TAGS = ("aws:PrincipalTag", "aws:RequestTag", "aws:ResourceTag")
"""What stands before the key of a tag and a slash, for the value of this tag."""

_KNOWN = frozenset(name.lower() for name in KEYS)
_TAGS = frozenset(name.lower() for name in TAGS)
_SEVERAL = frozenset({"aws:tagkeys"})


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a request says of itself."""

    #: by the key's name in lower case; what the request does not have is left out
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: `aws:principaltag` and the like -> key -> value
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def values(self, key: str) -> Sequence[str]:
        """Return the values of a key: none, one, or for a key that has several, all of them."""
        family, slash, tag = key.partition("/")
        if not slash:
            return self.keys.get(key.lower(), ())
        tags = self.tags.get(family.lower(), {})
        if tag in tags:
            return (tags[tag],)
        alike = sorted(name for name in tags if name.lower() == tag.lower())
        return (tags[alike[0]],) if alike else ()


def key_problem(key: str, *, several: bool) -> str | None:
    """Say why a key cannot be asked for; None if it can.

    Args:
        key: as the policy names it.
        several: whether it is asked for in a way that is made for keys with several values.
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
    """Return whether a key is about a tag of the resource, which has to be looked up."""
    return key.lower().startswith("aws:resourcetag/")
