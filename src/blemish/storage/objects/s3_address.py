"""The address of an S3, and the credentials for it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from blemish.storage.errors import StoreCredentialsError

if TYPE_CHECKING:
    from obstore.store import S3Credential

SESSION_LIFE = timedelta(minutes=10)
"""How long expiring credentials are used; botocore renews them earlier than that."""


@dataclass(frozen=True, kw_only=True)
class S3Address:
    """An S3, and a profile of the AWS files or a key for it; JSON values."""

    endpoint: str
    region: str
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)

    def credentials(self) -> Callable[[], S3Credential]:
        """Return a function that returns the current credentials.

        Raises:
            StoreCredentialsError: the profile cannot be read, or has none.
        """
        session = Session(profile=self.profile)
        if self.profile is None:
            session.set_credentials(self.access_key_id, self.secret_access_key)
        with self._clear_errors():
            held = session.get_credentials()
        if held is None:
            raise StoreCredentialsError(f"The AWS profile {self.profile!r} has no credentials.")

        def current() -> S3Credential:
            with self._clear_errors():
                frozen = held.get_frozen_credentials()
            return {
                "access_key_id": frozen.access_key,
                "secret_access_key": frozen.secret_key,
                "token": frozen.token,
                "expires_at": datetime.now(UTC) + SESSION_LIFE if frozen.token else None,
            }

        return current

    def authorities(self) -> bytes | None:
        """Return the certificates that `ca_bundle` of the profile names; None if it names none.

        AWS_CA_BUNDLE is for clients of this server and is ignored, unlike by botocore.

        Raises:
            StoreCredentialsError: the profile or the file cannot be read.
        """
        if self.profile is None:
            return None
        with self._clear_errors():
            name = Session(profile=self.profile).get_scoped_config().get("ca_bundle")
        if name is None:
            return None
        path = Path(name).expanduser()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
            return path.read_bytes()
        except OSError as error:
            reason = error.strerror
            raise StoreCredentialsError(
                f"The AWS profile {self.profile!r}: its ca_bundle {path} cannot be used: {reason}."
            ) from error

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StoreCredentialsError(f"The AWS profile {self.profile!r}: {error}") from None
