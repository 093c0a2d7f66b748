"""Rows of the links to single lines."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, insert, select

from blemish.domain.entities import KioskLink
from blemish.storage.database.access_tables import KIOSK_LINKS

# Built once, since every request of a kiosk reads its link.
_FIND = select(KIOSK_LINKS).where(KIOSK_LINKS.c.token_sha256 == bindparam("of_token"))


class KioskLinkRows:
    """The links, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, link: KioskLink) -> None:
        """Add a link; its token must be new."""
        self._connection.execute(insert(KIOSK_LINKS).values(**asdict(link)))

    def find(self, token_sha256: str) -> KioskLink | None:
        """Return the link of a token."""
        row = self._connection.execute(_FIND, {"of_token": token_sha256}).mappings().first()
        return None if row is None else KioskLink(**row)

    def all(self) -> list[KioskLink]:
        """Return the links by line, the newest first."""
        query = select(KIOSK_LINKS).order_by(
            KIOSK_LINKS.c.line, KIOSK_LINKS.c.created_at.desc(), KIOSK_LINKS.c.token_sha256
        )
        return [KioskLink(**row) for row in self._connection.execute(query).mappings()]

    def delete(self, token_sha256: str) -> bool:
        """Delete a link; return whether it was there."""
        mine = KIOSK_LINKS.c.token_sha256 == token_sha256
        return self._connection.execute(delete(KIOSK_LINKS).where(mine)).rowcount > 0
