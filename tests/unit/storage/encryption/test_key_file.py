from __future__ import annotations

import json
import secrets

import pytest

from blemish.storage.encryption.key_file import check_passphrase, open_keys, seal_keys
from blemish.storage.errors import BackupError

KEYS = {"f11409a9-31a6-43bb-a73b-7e6baa9dd047.json": b'{"secret": "SGVsbG8="}'}
PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal_keys(KEYS, PASSPHRASE, random_bytes=secrets.token_bytes)


def test_the_passphrase_opens_what_it_sealed(sealed: bytes) -> None:
    assert open_keys(sealed, PASSPHRASE, name="keys") == KEYS
    assert b"SGVsbG8=" not in sealed
    assert b"f11409a9" not in sealed


def test_another_passphrase_opens_nothing(sealed: bytes) -> None:
    with pytest.raises(BackupError, match=r"keys cannot be opened: the passphrase is another"):
        open_keys(sealed, PASSPHRASE + "!", name="keys")


@pytest.mark.parametrize("member", ["nonce", "sealed"])
def test_a_changed_file_opens_nothing(sealed: bytes, member: str) -> None:
    found = json.loads(sealed)
    found[member] = ("B" if found[member][0] == "A" else "A") + found[member][1:]

    with pytest.raises(BackupError, match="cannot be opened"):
        open_keys(json.dumps(found).encode(), PASSPHRASE, name="keys")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", b'{"format": "another", "scrypt": {}, "nonce": "", "sealed": ""}'],
)
def test_what_is_no_such_file_is_named(data: bytes) -> None:
    with pytest.raises(BackupError, match="keys is no file of sealed keys"):
        open_keys(data, PASSPHRASE, name="keys")


def test_nobody_is_made_to_work_without_end(sealed: bytes) -> None:
    found = json.loads(sealed)
    found["scrypt"]["n"] = 2**30

    with pytest.raises(BackupError, match="is no file of sealed keys"):
        open_keys(json.dumps(found).encode(), PASSPHRASE, name="keys")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(BackupError, match="has 11 characters; it needs at least 12"):
        check_passphrase("x" * 11)
    check_passphrase("x" * 12)
