"""The person who looks at a page: all that they do passes the gates of the API.

A page may stay open for a whole shift. So every call looks the session up again: when a key is
disabled, its holder may do nothing more, whatever is still on their screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, to_thread

from blemish.console.services import Services
from blemish.domain.access.authorization import Circumstances, Wanted, authorize
from blemish.domain.access.principals import Principal
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import AccessDeniedError, ServiceError, ValidationError
from blemish.service.access.passwords import PasswordError
from blemish.service.access.user_accounts import WrongPasswordError
from blemish.storage.errors import StorageError
from blemish.wire.calls import Call, Observer, observed
from blemish.wire.errors import ServiceUnavailableError
from blemish.wire.signature import Caller
from blemish.wire.wrong_secrets import TooManyAttemptsError

SERVICE = "lookoutvision"

SHOWN_ID = 8
"""Characters of a session's id in the audit log."""

REFUSED = ValidationError("Access keys and users cannot be changed like that.")
"""Recorded instead of the real error, which may hold a policy or names of others."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_threads = CapacityLimiter(4)
"""For the work of pages, which never takes the threads of the API."""

_hashing = CapacityLimiter(1)
"""For passwords: one hash at a time needs little memory, and other pages go on."""

MOST_WAITING = 16
"""Passwords that wait for the thread: about a second of work."""


class SignedOutError(Exception):
    """The session is over: its key or its user may not go on, or it was ended."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """The sender of a request of the console, signed in or not."""

    services: Services
    token: str
    source_ip: str | None
    user_agent: str | None
    #: whether the request came by TLS
    secure: bool

    async def principal(self, *, notes_use: bool = False) -> Principal:
        """Return the principal of the session; note that it is used, if that is asked for.

        Raises:
            SignedOutError: the session is over.
        """
        return await in_thread(partial(self._principal, notes_use=notes_use))

    async def call(self, operation: str, /, **members: Any) -> Mapping[str, Any]:
        """Call an operation of the API; members that are None are left out.

        Args:
            operation: such as "ListProjects".
            members: by their names in the service model.

        Returns:
            The members of the answer, by their names in the service model.

        Raises:
            SignedOutError: the session is over.
            ServiceError, WireError: as a client of the API gets them.
        """
        return await self.services.api.invoke(await in_thread(self._call, operation, members))

    async def call_and_wait(self, operation: str, /, **members: Any) -> Mapping[str, Any]:
        """Call an operation as `call` does; its work is done when the answer comes.

        Raises:
            SignedOutError, ServiceError, WireError: as `call`.
        """
        call = await in_thread(self._call, operation, members)
        return await self.services.api.invoke(replace(call, waits=True))

    async def may(self, operation: str, /, **members: Any) -> bool:
        """Tell whether the policies let the visitor call an operation, so as to offer it or not."""
        return await in_thread(self._may, operation, members)

    async def act_on_keys(
        self, action: str, act: Callable[[], Result], /, *, hashes: bool = False, **members: str
    ) -> Result:
        """Do something to access keys or users if the policies allow it; the audit log records it.

        Args:
            action: such as "iam:CreateAccessKey", on any resource.
            act: does it, in a thread.
            hashes: whether it makes the hash of a password.
            members: what is recorded of it.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
        """

        def acted() -> Result:
            self.authorize_blocking(action, "*")
            return act()

        call = await in_thread(self._call, action.partition(":")[2], members)
        with observed(call, [self.services.audits.keys]):
            call.error = REFUSED  # unless it is known better
            try:
                result = await (in_hashing_thread(acted) if hashes else in_thread(acted))
            except ServiceError as error:
                call.error = error
                raise
            call.error, call.status = None, 200
        return result

    async def end_other_sessions(self, session_id: str | None = None) -> None:
        """End the other sessions of the visitor, or only one; the audit log records it.

        Raises:
            SignedOutError: the session is over.
        """
        members = {} if session_id is None else {"Session": session_id[:SHOWN_ID]}
        call = await in_thread(self._call, "EndConsoleSessions", members)
        end = partial(self.services.sessions.end_others, self.token, session_id=session_id)
        with observed(call, [self.services.audits.sign_in]):
            call.error = REFUSED  # unless it is known better
            await in_thread(end)
            call.error, call.status = None, 200

    async def change_password(self, *, old: str, new: str) -> None:
        """Change the visitor's password, which ends all sessions; the audit log records it.

        Raises:
            SignedOutError: the session is over.
            UserError, PasswordError: as `UserAccounts.change_password`; PasswordError also if too
                many old passwords were wrong.
        """
        call = await in_thread(self._call, "ChangePassword", {})
        assert call.caller is not None
        name = call.caller.principal.name
        change = partial(self.services.users.change_password, name, old=old, new=new)
        with observed(call, [self.services.audits.keys]):
            call.error = REFUSED  # unless it is known better
            await self._with_old_password(name, change)
            call.error, call.status = None, 200

    async def _with_old_password(self, name: str, change: Callable[[], None]) -> None:
        """Change a password; whoever found an open session may not guess the old one."""
        wrong_passwords = self.services.wrong_passwords
        try:
            with wrong_passwords.attempt(name, wrong=WrongPasswordError):
                await in_hashing_thread(change)
        except TooManyAttemptsError as error:
            raise PasswordError(
                f"Too many old passwords were wrong. Try again in {error.seconds} seconds."
            ) from None
        wrong_passwords.forget(name)

    async def read_object(self, ref: ObjectRef) -> bytes:
        """Read an object that is no larger than a manifest may be.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
            ObjectError: there is none, or it cannot be read.
        """
        return await in_thread(self._read, ref, self.services.limits.max_manifest_bytes)

    async def write_object(self, ref: ObjectRef, data: bytes) -> None:
        """Write an object into a bucket.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
            ObjectError: it cannot be written.
        """
        return await in_thread(self.write_object_blocking, ref, data)

    async def authorize(self, action: str, resource: str) -> None:
        """Allow an action that is no operation of the API, such as `s3:ListBucket`.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
        """
        await in_thread(self.authorize_blocking, action, resource)

    def read_image_blocking(self, ref: ObjectRef) -> bytes:
        """Read an image or a mask as `read_object` does, from a thread."""
        return self._read(ref, self.services.limits.detect_body_bytes)

    def _read(self, ref: ObjectRef, max_bytes: int) -> bytes:
        with self.object_access("s3:GetObject", ref):
            return self.services.objects.read(ref, max_bytes=max_bytes)

    @contextmanager
    def object_access(self, action: str, ref: ObjectRef) -> Iterator[None]:
        """Allow an action on an object, from a thread; the audit log records how it ends.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
        """
        members = {"Bucket": ref.bucket, "Key": ref.key}
        call = self._call(action.partition(":")[2], members)
        with _audited(call, self.services.audits.objects):
            self.authorize_blocking(action, f"arn:aws:s3:::{ref.bucket}/{ref.key}")
            yield

    @contextmanager
    def download(self, operation: str, /, **members: str) -> Iterator[None]:
        """Record a download in the audit log, from a thread; `check` allows it."""
        with _audited(self._call(operation, members), self.services.audits.downloads):
            yield

    async def act_if_allowed(
        self, event: str, operation: str, act: Callable[[str], object], /, **members: str
    ) -> None:
        """Act, in a thread, if the visitor may call an operation; the audit log records the event.

        Args:
            event: name in the audit log.
            operation: of the API.
            act: does it; gets the visitor's name.
            members: of the operation.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow the operation.
        """

        def acted() -> None:
            call = self._call(event, members)
            assert call.caller is not None
            with _audited(call, self.services.audits.downloads):
                self.check(operation, **members)
                act(call.caller.principal.name)

        await in_thread(acted)

    def check(self, operation: str, /, **members: Any) -> None:
        """Allow an operation without calling it, from a thread.

        Raises:
            SignedOutError: the session is over.
            AccessDeniedError: the policies do not allow it.
        """
        self.services.gate(self._call(operation, members))

    def authorize_blocking(self, action: str, resource: str) -> None:
        """Allow an action as `authorize` does, from a thread."""
        circumstances = Circumstances(
            at=self.services.clock(), source_ip=self.source_ip, secure=self.secure
        )
        authorize(self._principal(), Wanted(action=action, resource=resource), circumstances)

    def write_object_blocking(self, ref: ObjectRef, data: bytes) -> None:
        """Write an object as `write_object` does, from a thread."""
        with self.object_access("s3:PutObject", ref):
            self.services.objects.write(ref, data)

    def _principal(self, *, notes_use: bool = False) -> Principal:
        principal = self.services.sessions.principal(self.token, notes_use=notes_use)
        if principal is None:
            raise SignedOutError("The session is over. Sign in again.")
        return principal

    def _may(self, operation: str, members: Mapping[str, Any]) -> bool:
        try:
            self.services.gate(self._call(operation, members))
        except AccessDeniedError:
            return False
        return True

    def _call(self, operation: str, members: Mapping[str, Any]) -> Call:
        services = self.services
        return Call(
            request_id=services.new_name(),
            received_at=services.clock(),
            source_ip=self.source_ip,
            user_agent=self.user_agent,
            secure=self.secure,
            operation=operation,
            caller=Caller(principal=self._principal(), region=services.region, service=SERVICE),
            members={name: value for name, value in members.items() if value is not None},
        )


@contextmanager
def _audited(call: Call, observer: Observer) -> Iterator[None]:
    """Note how a call ends, and let the observer record it."""
    with observed(call, [observer]):
        try:
            yield
        except (ServiceError, StorageError) as error:
            call.error = error
            raise
        call.status = 200


async def in_thread(
    function: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
) -> Result:
    """Run what may block in a thread, of which the pages have a few."""
    return await to_thread.run_sync(function, *arguments, limiter=_threads)


async def in_hashing_thread(
    function: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
) -> Result:
    """Run what makes or checks the hash of a password in a thread, one after the other.

    Raises:
        ServiceUnavailableError: too many wait already.
    """
    if _hashing.statistics().tasks_waiting >= MOST_WAITING:
        raise ServiceUnavailableError("Too many people sign in right now. Try again in a moment.")
    return await to_thread.run_sync(function, *arguments, limiter=_hashing)
