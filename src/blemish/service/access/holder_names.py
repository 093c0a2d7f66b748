"""Names of users and of access keys: both are users of IAM to policies, so no two are the same."""

from __future__ import annotations

import re
from itertools import chain, count

from blemish.storage.rows.all_rows import Rows

NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,64}")
"""Names follow those of IAM users. Source: AWS IAM User Guide, "IAM and AWS STS quotas"."""


_REFUSED = re.compile(r"[^A-Za-z0-9+=,.@_-]")
_MOST = 60
"""Characters of a name that may get a number."""


class HolderNameError(Exception):
    """A name is taken or not allowed; the message says why."""


def check_holder_name(rows: Rows, name: str, *, kind: str) -> None:
    """Refuse a name that a user or an access key has, or may not have.

    Args:
        rows: of the transaction that adds it.
        name: to be checked.
        kind: what is to have the name, "user" or "access key".

    Raises:
        HolderNameError: it is refused.
    """
    if not NAME.fullmatch(name):
        raise HolderNameError(
            f"{name!r:.200} cannot be the name of {'an' if kind[0] in 'aeio' else 'a'} {kind}: it "
            "must have 1 to 64 letters, digits and signs of +=,.@_-"
        )
    if rows.keys.named(name):
        remedy = "Rotate or delete it, or choose" if kind == "access key" else "Choose"
        raise HolderNameError(
            f"There is an access key named {name} already. {remedy} another name."
        )
    if rows.users.named(name):
        raise HolderNameError(f"There is a user named {name} already. Choose another name.")


def free_holder_name(rows: Rows, wanted: str) -> str:
    """Return a name that nobody has: the wanted one, or that one with a number.

    Characters that names may not have become hyphens.
    """
    allowed = _REFUSED.sub("-", wanted)[:_MOST] or "user"
    names = chain([allowed], (f"{allowed}-{number}" for number in count(2)))
    return next(name for name in names if not (rows.keys.named(name) or rows.users.named(name)))
