"""One attempt to sign in by an identity provider, of one browser.

All that binds the answers of the provider to the browser follows from one secret, which only the
browser holds, as a cookie. So any server of several can go on with it, and nothing is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class SignInAttempt:
    """What the provider is sent, and has to send back."""

    #: random
    secret: str = field(repr=False)

    @property
    def state(self) -> str:
        """Comes back with the code: the browser that asked is the one that answers."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Comes back within the ID token: it was made for this attempt."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Opens the code at the provider."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The hash of the verifier. Source: RFC 7636, section 4.2 (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def began(self, state: str) -> bool:
        """Return whether a state is the one of this attempt."""
        return hmac.compare_digest(self.state.encode(), state.encode(errors="replace"))

    def _derived(self, purpose: str) -> str:
        return _text(hmac.digest(self.secret.encode(), purpose.encode(), "sha256"))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
