"""Access keys: the first one, and the secrets that signatures are checked against."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime

from blemish.domain.entities import AccessKey
from blemish.storage.database import Database

KEY_ID_PREFIX = "BLEM"
"""Begins every access key id, so that it is never taken for one of AWS's."""


class AccessService:
    """Who may sign requests."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
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

    def secret(self, access_key_id: str) -> str | None:
        """Return the secret of a key; None if there is no such key."""
        with self._database.reading() as rows:
            key = rows.keys.find(access_key_id)
        return key.secret if key else None
