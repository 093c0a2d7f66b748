"""Limits how often an address may send wrong secrets: a few are free, then one a minute.

The address pays, never the holder of a key: wrong secrets from one address change nothing for the
same key at another. During a pause a correct secret has to wait as well, so an attacker cannot tell
a good guess from a bad one.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from blemish.wire.errors import (
    InvalidSignatureError,
    TooManyWrongSecretsError,
    UnrecognizedClientError,
)

FREE_ATTEMPTS = 5
"""Wrong secrets in a row that cost nothing, in a form that people fill in."""

FREE_OF_ALL_NAMES = 20
"""Wrong secrets in a row that cost nothing, whatever names they are for."""

FREE_SIGNATURES = 20
"""Wrong signatures in a row that cost nothing: programs send several requests at once."""

PAUSE_S = 60.0
"""Between two attempts from then on. After twice as long without one, all are free again."""

PENDING_S = 1.0
"""How long an attempt waits while others of the same subject are being checked."""

MAX_REMEMBERED = 4_096
"""Subjects that are remembered; the longest unused are forgotten."""

IPV6_PREFIX_BITS = 64
"""One network has as many addresses as it likes below this prefix. Source: RFC 4291, section 2.5.4.
"""


class TooManyAttemptsError(Exception):
    """A subject has to wait before its next attempt is checked."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"wait {wait_s:.0f} s")
        self.seconds = math.ceil(wait_s)


@dataclass(frozen=True, kw_only=True)
class _Failures:
    count: int = 0
    last_s: float = -math.inf
    #: attempts whose secret is being checked
    pending: int = 0


class WrongSecrets:
    """The recent wrong secrets by subject, in memory; for any thread."""

    def __init__(self, *, monotonic: Callable[[], float], free: int = FREE_ATTEMPTS) -> None:
        self._monotonic = monotonic
        self._free = free
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, subject: str) -> float:
        """Return how long the next attempt of a subject has to wait, 0 if not at all."""
        with self._lock:
            failures = self._failures.get(subject)
        if failures is None or failures.count < self._free:
            return 0.0
        return max(0.0, failures.last_s + PAUSE_S - self._monotonic())

    def note(self, subject: str) -> None:
        """Count a wrong secret."""
        now_s = self._monotonic()
        with self._lock:
            failures = self._recent(subject, now_s)
            self._store(subject, replace(failures, count=failures.count + 1, last_s=now_s))

    @contextmanager
    def attempt(
        self, subject: str, *, wrong: type[Exception] | tuple[type[Exception], ...]
    ) -> Iterator[None]:
        """Count an attempt of a subject before its secret is checked, which the context does.

        Args:
            subject: whose attempt it is.
            wrong: what is raised in the context if the secret is wrong.

        Raises:
            TooManyAttemptsError: too many were wrong or go on; the context is not entered.
        """
        if (wait_s := self.begin(subject)) > 0:
            raise TooManyAttemptsError(wait_s)
        is_wrong = False
        try:
            yield
        except wrong:
            is_wrong = True
            raise
        finally:
            self.end(subject, wrong=is_wrong)

    def begin(self, subject: str) -> float:
        """Begin an attempt, which `end` ends; return how long it has to wait instead, or 0.

        Attempts that are being checked count as wrong ones, so that many at once are no more than
        many in a row.
        """
        now_s = self._monotonic()
        with self._lock:
            failures = self._recent(subject, now_s)
            left_s = failures.last_s + PAUSE_S - now_s
            if failures.count >= self._free and left_s > 0:
                return left_s
            if failures.pending and failures.count + failures.pending >= self._free:
                return PENDING_S
            self._store(subject, replace(failures, pending=failures.pending + 1))
            return 0.0

    def end(self, subject: str, *, wrong: bool) -> None:
        """End an attempt. A correct one changes no count: others may be guessed at meanwhile."""
        now_s = self._monotonic()
        with self._lock:
            failures = self._recent(subject, now_s)
            failures = replace(failures, pending=max(0, failures.pending - 1))
            if wrong:
                failures = replace(failures, count=failures.count + 1, last_s=now_s)
            self._store(subject, failures)

    def forget(self, subject: str) -> None:
        """Forget the wrong secrets of a subject, which has sent the correct one."""
        with self._lock:
            pending = self._recent(subject, self._monotonic()).pending
            self._store(subject, _Failures(pending=pending))

    def _recent(self, subject: str, now_s: float) -> _Failures:
        """Return what counts of a subject, with the lock held."""
        failures = self._failures.get(subject, _Failures())
        if now_s - failures.last_s > 2 * PAUSE_S:
            return replace(failures, count=0)
        return failures

    def _store(self, subject: str, failures: _Failures) -> None:
        """Remember what counts of a subject as the newest, with the lock held."""
        self._failures.pop(subject, None)
        if failures.count or failures.pending:
            self._failures[subject] = failures
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def check(self, address: str | None, key_id: str) -> None:
        """Refuse a request for this address and this key after too many wrong signatures.

        Raises:
            TooManyWrongSecretsError: too many were wrong, so this one is not checked.
        """
        if (wait_s := self.wait_s(_subject(address, key_id))) > 0:
            raise TooManyWrongSecretsError(
                f"Too many requests from {address} had wrong signatures by this access key. Check "
                f"the secret access key. The next request is checked in {wait_s:.0f} seconds."
            )

    @contextmanager
    def counted(self, address: str | None, key_id: str) -> Iterator[None]:
        """Count a wrong signature that is noticed in the context, for this address and this key.

        Others at the same address, whose keys are right, do not wait.

        Raises:
            TooManyWrongSecretsError: too many were wrong, so this one is not checked.
        """
        self.check(address, key_id)
        subject = _subject(address, key_id)
        try:
            yield
        except (InvalidSignatureError, UnrecognizedClientError):
            self.note(subject)
            raise
        self.forget(subject)


def _subject(address: str | None, key_id: str) -> str:
    return f"{address_group(address)} {key_id:.128}"


@lru_cache(maxsize=MAX_REMEMBERED)
def address_group(address: str | None) -> str:
    """Return what stands for an address here: itself, or the network of an IPv6 address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return f"{address}"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.version == 4:
        return f"{parsed}"
    return f"{ip_network((parsed, IPV6_PREFIX_BITS), strict=False)}"
