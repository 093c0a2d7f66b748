"""Looking up the signer of a request, and the holder of a session.

Every request reads its key or its user from the database, so that changes take effect at once:
`blemish keys` and `blemish users` run in their own processes.
"""

from __future__ import annotations

from blemish.domain.access.authorization import Circumstances
from blemish.domain.access.builtin_policies import policy_of
from blemish.domain.access.object_rights import ObjectRights
from blemish.domain.access.principals import Principal, Signer, user_of_holder
from blemish.domain.access.roles import policy_of_role
from blemish.domain.arns import ArnScope
from blemish.domain.entities import AccessKey, Requester, User
from blemish.storage.database.database import Database
from blemish.storage.encryption.encryption import Encryption

MAX_OPENED = 1_024
"""Opened secrets in memory."""


class AccessService:
    """The principals behind access keys and users."""

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

    def principal(self, holder_id: str) -> Principal | None:
        """Return the holder of a session; None if the key or the user is gone or disabled.

        Raises:
            EncryptionError: the secret of the key cannot be opened.
        """
        name = user_of_holder(holder_id)
        if name is None:
            signer = self.signer(holder_id)
            return signer.principal if signer else None
        with self._database.looking_up() as rows:
            user = rows.users.named(name)
        return self._user_principal(user) if user is not None and user.enabled else None

    def rights(self, requester: Requester) -> ObjectRights:
        """Return what the sender of an earlier request may do with objects now.

        A key or a user that was deleted or disabled since then may do nothing.
        """
        name = requester.key_name
        with self._database.looking_up() as rows:
            key = rows.keys.named(name)
            user = None if key else rows.users.named(name)
        if key is not None and key.enabled:
            principal = self._principal(key)
        elif user is not None and user.enabled:
            principal = self._user_principal(user)
        else:
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

    def _user_principal(self, user: User) -> Principal:
        return Principal(
            access_key_id="",
            name=user.name,
            arn=self._arns.user(user.name),
            policy=policy_of_role(user.role),
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
