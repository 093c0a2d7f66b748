"""Links for screens at a line: each opens the page of one line, and nothing else, until revoked.

The link holds a random token, the database only its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime

from blemish.domain.access.policies import WITH_VARIABLES, parse_policy
from blemish.domain.access.principals import Principal
from blemish.domain.arns import ArnScope
from blemish.domain.entities import KioskLink
from blemish.domain.errors import ValidationError
from blemish.storage.database.database import Database

TOKEN_BYTES = 32

SHOWN_ID = 8
"""Digits of the token's hash in names and in the audit log."""

LINE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")
"""Names of lines."""

MOST_NOTE = 100
"""Characters of a note."""


class KioskLinks:
    """The links of a server."""

    def __init__(
        self,
        database: Database,
        *,
        arns: ArnScope,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._arns = arns
        self._now = now
        self._random_bytes = random_bytes

    def all(self) -> list[KioskLink]:
        """Return the links by line."""
        with self._database.reading() as rows:
            return rows.kiosk_links.all()

    def create(self, line: str, *, note: str, by: str) -> str:
        """Create a link to a line, which need not exist yet; return its token, this once.

        Raises:
            ValidationError: no line can have this name, or the note is too long.
        """
        if not LINE.fullmatch(line):
            raise ValidationError(
                f"{line!r:.100} cannot be the name of a line: it must have 1 to 63 letters, "
                "digits, underscores and hyphens."
            )
        if len(note) > MOST_NOTE:
            raise ValidationError(
                f"A note has at most {MOST_NOTE} characters; this one has {len(note)}."
            )
        token = self._random_bytes(TOKEN_BYTES).hex()
        link = KioskLink(
            token_sha256=_sha256(token),
            line=line,
            note=note,
            created_by=by,
            created_at=self._now(),
        )
        with self._database.writing() as rows:
            rows.kiosk_links.add(link)
        return token

    def revoke(self, token_sha256: str) -> None:
        """Revoke a link, if it exists: the screens that it opened show nothing more."""
        with self._database.writing() as rows:
            rows.kiosk_links.delete(token_sha256)

    def link(self, token: str) -> KioskLink | None:
        """Return the link of a token; None if it was revoked or never existed."""
        with self._database.looking_up() as rows:
            return rows.kiosk_links.find(_sha256(token))

    def principal(self, token: str) -> Principal | None:
        """Return who looks through a link: it may see its line, and no other page."""
        link = self.link(token)
        if link is None:
            return None
        name = f"kiosk-{link.line}-{link.token_sha256[:SHOWN_ID]}"
        statement = {
            "Effect": "Allow",
            "Action": "lookoutvision:DescribeLine",
            "Resource": self._arns.line(link.line),
        }
        return Principal(
            access_key_id="",
            name=name,
            arn=self._arns.user(name),
            policy=parse_policy(json.dumps({"Version": WITH_VARIABLES, "Statement": statement})),
            only_line=link.line,
        )


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
