"""The address of an S3, and the credentials for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StoreCredentialsError(f"The AWS profile {self.profile!r}: {error}") from None
