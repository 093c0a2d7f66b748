"""Checking ID tokens: who signed them, for whom, when, and for which attempt.

Source: OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725 (best practices of JSON Web Tokens).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt

from blemish.service.access.oidc.errors import ProofError, UnknownKeyError

ALGORITHMS = ("RS256", "ES256")
"""Signatures by a key pair: `none` proves nothing, HS256 would take a public key as a secret."""

REQUIRED = ("iss", "sub", "aud", "exp", "iat")

LEEWAY_S = 60
"""How far the clock of the provider may be from ours."""

MOST_SUBJECT = 255
"""Characters of `sub`. Source: OpenID Connect Core 1.0, section 2."""


def published_keys(document: Mapping[str, Any]) -> list[jwt.PyJWK]:
    """Return the keys of a JWK set that may sign ID tokens.

    Raises:
        ProofError: there is none.
    """
    members = document.get("keys")
    if not isinstance(members, list):
        raise ProofError("It has no list of keys.")
    keys = [key for key in map(_published_key, members) if key is not None]
    if not keys:
        raise ProofError("It has no key that can be used.")
    return [
        key
        for key in keys
        if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
    ]


def verified_claims(
    token: str, keys: list[jwt.PyJWK], *, issuer: str, client_id: str, nonce: str
) -> Mapping[str, Any]:
    """Return the claims of an ID token.

    Args:
        token: as the provider sent it.
        keys: those that the provider publishes.
        issuer: who must have made it.
        client_id: for whom it must be.
        nonce: of the attempt that it must be for.

    Raises:
        UnknownKeyError: none of the keys is the one that it names.
        ProofError: it proves nothing.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(jwt.get_unverified_header(token), keys),
            algorithms=ALGORITHMS,
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": [*REQUIRED]},
        )
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        reason = f"{error}".rstrip(".")
        raise ProofError(f"The ID token is not valid: {reason}.") from None
    if not is_unicode(claims):
        raise ProofError("The ID token is not valid: a text in it is not Unicode.")
    _check_audience(claims, client_id)
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
        raise ProofError("The ID token is for another attempt to sign in (nonce).")
    subject = claims["sub"]
    if not 0 < len(subject) <= MOST_SUBJECT or not (subject.isascii() and subject.isprintable()):
        raise ProofError(
            f"The ID token names nobody: `sub` must have 1 to {MOST_SUBJECT} ASCII characters."
        )
    return claims


def is_unicode(document: object) -> bool:
    """Return whether the texts of a JSON document are Unicode; escapes can be half a character."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _published_key(members: object) -> jwt.PyJWK | None:
    """Return a key of a JWK set; None for one that cannot be used, as those of other kinds."""
    try:
        return jwt.PyJWK(members) if isinstance(members, dict) else None
    except (jwt.PyJWTError, LookupError, TypeError, ValueError):
        return None


def _key(header: Mapping[str, Any], keys: list[jwt.PyJWK]) -> jwt.PyJWK:
    """Return the key that a token names, or the only one if it names none."""
    if header.get("alg") not in ALGORITHMS:
        raise ProofError(
            f"The ID token is signed by {header.get('alg')!r:.40}; allowed are "
            f"{' and '.join(ALGORITHMS)}."
        )
    kid = header.get("kid")
    fitting = [key for key in keys if kid in (None, key.key_id)]
    fitting = [key for key in fitting if key.algorithm_name == header["alg"]]
    if len(fitting) != 1:
        raise UnknownKeyError(f"The ID token names the key {kid!r:.80}, which is not published.")
    return fitting[0]


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    """Refuse a token that is for others too, unless it says that it was made for us."""
    audiences = claims["aud"]
    is_ours = isinstance(audiences, str) or len(audiences) == 1
    if claims.get("azp", client_id if is_ours else None) != client_id:
        raise ProofError("The ID token was made for another client (azp).")
