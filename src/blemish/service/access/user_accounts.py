"""Users of the console: names, passwords and roles. A disabled user is signed out at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from blemish.domain.access.principals import user_holder_id
from blemish.domain.access.roles import UserRole
from blemish.domain.entities import User
from blemish.service.access.holder_names import (
    NAME,
    HolderNameError,
    check_holder_name,
    free_holder_name,
)
from blemish.service.access.passwords import (
    SALT_BYTES,
    PasswordError,
    check_password,
    is_password,
    password_hash,
)
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows


class UserError(Exception):
    """A user cannot be created or changed; the message says why."""


class WrongPasswordError(PasswordError):
    """The old password is not the user's."""


class UserAccounts:
    """The users of a server, running or not."""

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

    def all(self) -> list[User]:
        """Return the users by name."""
        with self._database.reading() as rows:
            return rows.users.all()

    def exists(self, name: str) -> bool:
        """Return whether there is a user of this name."""
        return self._named(name) is not None

    def has_password(self, name: str) -> bool:
        """Return whether a user signs in by a password."""
        user = self._named(name)
        return user is not None and user.password_hash is not None

    def authenticated(self, name: str, password: str) -> User | None:
        """Return the enabled user with this name and password, after the same time in any case.

        It takes memory and a core for some hundredths of a second: call it one at a time.
        """
        user = self._named(name)
        is_right = is_password(password, user.password_hash if user else None)
        return user if is_right and user is not None and user.enabled else None

    def add(self, name: str, password: str, *, role: UserRole) -> None:
        """Add a user.

        Raises:
            UserError: the name is taken or not allowed.
            PasswordError: the password is too short or too long.
        """
        check_password(password)
        self._add(
            User(
                name=name,
                password_hash=self._hash(password),
                role=role,
                enabled=True,
                created_at=self._now(),
            )
        )

    def set_password(self, name: str, password: str) -> None:
        """Replace the password of a user, and end the sessions that the old one began.

        Raises:
            UserError: the user does not exist, or an identity provider signs the user in.
            PasswordError: the password is too short or too long.
        """
        check_password(password)
        new_hash = self._hash(password)
        with self._changing(name) as (rows, user):
            if user.identity is not None:
                raise UserError(
                    f"{name} signs in by the identity provider, which has the password."
                )
            rows.users.replace(replace(user, password_hash=new_hash))
            rows.sessions.delete_of(user_holder_id(name))

    def change_password(self, name: str, *, old: str, new: str) -> None:
        """Replace the password of a user who knows the old one.

        Raises:
            WrongPasswordError: the old one is wrong.
            UserError, PasswordError: as `set_password`.
        """
        if self.authenticated(name, old) is None:
            raise WrongPasswordError("The old password is wrong.")
        self.set_password(name, new)

    def set_role(self, name: str, role: UserRole) -> None:
        """Give a user another role.

        Raises:
            UserError: the user does not exist, or the identity provider decides about the role.
        """
        with self._changing(name) as (rows, user):
            if user.identity is not None:
                raise UserError(
                    f"{name} signs in by the identity provider, whose groups decide about the role."
                )
            rows.users.replace(replace(user, role=role))

    def identified(self, identity: str, *, name: str, role: UserRole) -> User:
        """Return the user of an identity at the identity provider, with the role of now.

        The first time, this adds the user, by a name that no other user and no key has.

        Args:
            identity: issuer and subject.
            name: what the user is called there; a new user is called alike.
            role: what the provider gives now.
        """
        with self._database.writing() as rows:
            user = rows.users.identified(identity)
            if user is None:
                user = User(
                    name=free_holder_name(rows, name),
                    password_hash=None,
                    role=role,
                    enabled=True,
                    created_at=self._now(),
                    identity=identity,
                )
                rows.users.add(user)
            elif user.role != role:
                user = replace(user, role=role)
                rows.users.replace(user)
            return user

    def sign_out_identity(self, identity: str) -> None:
        """End the sessions of an identity that has no role any more, if it was ever here."""
        with self._database.writing() as rows:
            user = rows.users.identified(identity)
            if user is not None:
                rows.sessions.delete_of(user_holder_id(user.name))

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Enable or disable a user; sessions of a disabled user end for good.

        Raises:
            UserError: the user does not exist.
        """
        with self._changing(name) as (rows, user):
            rows.users.replace(replace(user, enabled=enabled))
            if not enabled:
                rows.sessions.delete_of(user_holder_id(name))

    def _named(self, name: str) -> User | None:
        """Return the user of what somebody typed; the database refuses some characters."""
        if not NAME.fullmatch(name):
            return None
        with self._database.looking_up() as rows:
            return rows.users.named(name)

    def _hash(self, password: str) -> str:
        return password_hash(password, salt=self._random_bytes(SALT_BYTES))

    def _add(self, user: User) -> None:
        with self._database.writing() as rows:
            try:
                check_holder_name(rows, user.name, kind="user")
            except HolderNameError as error:
                raise UserError(str(error)) from None
            rows.users.add(user)

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Rows, User]]:
        with self._database.writing() as rows:
            user = rows.users.named(name)
            if user is None:
                known = ", ".join(user.name for user in rows.users.all()) or "none"
                raise UserError(f"There is no user named {name:.200}. There are: {known}.")
            yield rows, user
