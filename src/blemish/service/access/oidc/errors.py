"""Why signing in by an identity provider fails.

IdentityProviderError        the provider does not answer, or not as it must
ProofError           what a browser or the provider sent proves nothing
  UnknownKeyError    no published key signed it: the keys may have changed
"""

from __future__ import annotations


class IdentityProviderError(Exception):
    """The identity provider does not answer, or not as it must; the message says what it did."""


class ProofError(Exception):
    """What was sent does not prove who signs in; the message says why."""


class UnknownKeyError(ProofError):
    """A token names no key that the provider published."""
