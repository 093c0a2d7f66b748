from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blemish.service.access.oidc.errors import ProofError, UnknownKeyError
from blemish.service.access.oidc.id_tokens import published_keys, verified_claims
from tests.openid_provider import CLIENT_ID, ISSUER, SigningKey, claims_of

NONCE = "n-1"
KEY = SigningKey("first")


def checked(token: str, *published: dict[str, Any]) -> Any:
    """Return the claims of a token by the key `first`, or by others."""
    keys = published_keys({"keys": list(published or (KEY.published,))})
    return verified_claims(token, keys, issuer=ISSUER, client_id=CLIENT_ID, nonce=NONCE)


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "first"})


def signed_by_the_public_key(claims: dict[str, Any]) -> str:
    """Return a token whose HS256 has the public key as its secret, which everybody knows."""
    secret = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "first"}, claims)
    text = b".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return b".".join((text, _encoded(hmac.digest(secret, text, hashlib.sha256)))).decode()


def _encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def test_a_good_token_says_who_signs_in() -> None:
    claims = checked(KEY.signed(claims_of(nonce=NONCE, aud=[CLIENT_ID])))

    assert claims["sub"] == "anna-17"


def test_rs256_is_allowed_too_and_a_lone_key_needs_no_name() -> None:
    private = generate_private_key(65_537, 2_048)
    algorithm = jwt.get_algorithm_by_name("RS256")
    published = algorithm.to_jwk(private.public_key(), as_dict=True)
    token = jwt.encode(claims_of(nonce=NONCE), private, algorithm="RS256")

    assert checked(token, published)["sub"] == "anna-17"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"nonce": "n-2"}, "another attempt"),
        ({"nonce": None}, "another attempt"),
        ({"nonce": "\ud800"}, "not Unicode"),
        ({"aud": "another-client"}, "Audience"),
        ({"aud": [CLIENT_ID, "another-client"]}, "another client"),
        ({"azp": "another-client"}, "another client"),
        ({"iss": "https://login.example.net/plant"}, "issuer"),
        ({"exp": 1_700_000_000}, "expired"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_300}, "not yet valid"),
        ({"exp": None}, "exp"),
        ({"sub": ""}, "names nobody"),
        ({"sub": "a\0b"}, "names nobody"),
        ({"sub": 17}, "[Ss]ubject"),
    ],
)
def test_a_token_for_others_or_of_another_time_is_refused(
    members: dict[str, Any], reason: str
) -> None:
    token = KEY.signed(claims_of(**({"nonce": NONCE} | members)))

    with pytest.raises(ProofError, match=reason):
        checked(token)


@pytest.mark.parametrize("forged", [unsigned, signed_by_the_public_key])
def test_a_token_without_a_signature_by_the_key_is_refused(
    forged: Callable[[dict[str, Any]], str],
) -> None:
    with pytest.raises(ProofError, match=r"is signed by '(none|HS256)'; allowed are RS256 and"):
        checked(forged(claims_of(nonce=NONCE)))


def test_a_secret_among_the_published_keys_opens_nothing() -> None:
    token = jwt.encode(
        claims_of(nonce=NONCE), bytes(32), algorithm="HS256", headers={"kid": "shared"}
    )
    secret = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(bytes(32)).decode()}

    with pytest.raises(ProofError):
        checked(token, KEY.published, secret)


def test_a_key_that_another_has_the_name_of_is_refused() -> None:
    token = SigningKey("first").signed(claims_of(nonce=NONCE))

    with pytest.raises(ProofError, match="Signature verification failed"):
        checked(token)


def test_a_key_that_is_not_published_is_told_apart() -> None:
    with pytest.raises(UnknownKeyError, match="'second', which is not published"):
        checked(SigningKey("second").signed(claims_of(nonce=NONCE)))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "\0.\0.\0", "e30.e30.e30", "\ud800.e30.e30"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ProofError):
        checked(text)
