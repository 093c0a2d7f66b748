"""Looking up the signer of a request.

Every request reads its key from the database, so that changes take effect at once: `blemish keys`
runs in its own process.
"""

from __future__ import annotations

from blemish.domain.access.authorization import Circumstances
from blemish.domain.access.builtin_policies import policy_of
from blemish.domain.access.object_rights import ObjectRights
from blemish.domain.access.principals import Principal, Signer
from blemish.domain.arns import ArnScope
from blemish.domain.entities import AccessKey, Requester
from blemish.storage.database.database import Database
from blemish.storage.encryption.encryption import Encryption

MAX_OPENED = 1_024
"""Opened secrets in memory."""


class AccessService:
    """The principals behind access keys."""

    def __init__(self, database: Database, *, encryption: Encryption, arns: ArnScope) -> None:
        self._database = database
        self._encryption = encryption
        self._arns = arns
        #: sealed secret -> secret; no two secrets are sealed alike
        self._opened: dict[str, str] = {}

    def signer(self, access_key_id: str) -> Signer | None:
        """Return the holder of a key; None if the key does not exist or is disabled.

        Raises:
            EncryptionError: its secret cannot be opened.
        """
        with self._database.looking_up() as rows:
            key = rows.keys.find(access_key_id)
        if key is None or not key.enabled:
            return None
        return Signer(principal=self._principal(key), secret=self._secret(key))

    def rights(self, requester: Requester) -> ObjectRights:
        """Return what the sender of an earlier request may do with objects now.

        A key that was deleted or disabled since then may do nothing.
        """
        with self._database.looking_up() as rows:
            key = rows.keys.named(requester.key_name)
        if key is not None and key.enabled:
            principal = self._principal(key)
        else:
            name = requester.key_name
            principal = Principal(access_key_id="", name=name, arn=self._arns.user(name))
        circumstances = Circumstances(
            at=requester.at, source_ip=requester.source_ip, secure=requester.secure
        )
        return ObjectRights(principal=principal, circumstances=circumstances)

    def _principal(self, key: AccessKey) -> Principal:
        return Principal(
            access_key_id=key.id,
            name=key.name,
            arn=self._arns.user(key.name),
            tags=key.tags,
            policy=policy_of(key.policy),
        )

    def _secret(self, key: AccessKey) -> str:
        secret = self._opened.get(key.sealed_secret)
        if secret is None:
            secret = opened_secret(key, self._encryption)
            if len(self._opened) >= MAX_OPENED:
                self._opened.clear()
            self._opened[key.sealed_secret] = secret
        return secret


def sealed_secret(key_id: str, secret: str, encryption: Encryption) -> str:
    """Seal the secret of an access key for this key id.

    Raises:
        KeyUnavailableError: the sealing key is missing.
    """
    return encryption.seal_text(secret, context=_context(key_id))


def opened_secret(key: AccessKey, encryption: Encryption) -> str:
    """Open the secret of an access key.

    Raises:
        EncryptionError: it cannot be opened.
    """
    name = f"The secret of the access key {key.name!r}"
    return encryption.open_text(key.sealed_secret, context=_context(key.id), name=name)


def _context(key_id: str) -> dict[str, str]:
    return {"kind": "access key", "id": key_id}
