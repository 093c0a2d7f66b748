"""Access keys: the first one, and the secrets that signatures are checked against."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime

from blemish.domain.arns import ArnScope
from blemish.domain.entities import AccessKey
from blemish.domain.principals import Principal, Signer
from blemish.storage.database import Database

KEY_ID_PREFIX = "BLEM"
"""Begins every access key id, so that it is never taken for one of AWS's."""


class AccessService:
    """Who may sign requests."""

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

    def has_key(self) -> bool:
        """Say whether anyone can sign a request."""
        with self._database.reading() as rows:
            return rows.keys.any()

    def new_key(self, name: str) -> AccessKey:
        """Draw a key; it counts once it is added."""
        return AccessKey(
            id=KEY_ID_PREFIX + base64.b32encode(self._random_bytes(10)).decode(),
            secret=base64.b64encode(self._random_bytes(30)).decode(),
            name=name,
            created_at=self._now(),
        )

    def add(self, key: AccessKey) -> None:
        """Let requests be signed with a key."""
        with self._database.writing() as rows:
            rows.keys.add(key)

    def signer(self, access_key_id: str) -> Signer | None:
        """Return who signs with a key; None if there is no such key."""
        with self._database.reading() as rows:
            key = rows.keys.find(access_key_id)
        if key is None:
            return None
        principal = Principal(access_key_id=key.id, name=key.name, arn=self._arns.user(key.name))
        return Signer(principal=principal, secret=key.secret)
