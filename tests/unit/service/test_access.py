from __future__ import annotations

import re

import pytest

from blemish.domain.principals import Principal
from blemish.service.access import AccessService
from tests.unit.house import House


@pytest.fixture
def access(house: House) -> AccessService:
    drawn = iter(range(256))
    return AccessService(
        house.database,
        arns=house.arns,
        now=house.clock,
        random_bytes=lambda size: bytes([next(drawn)] * size),
    )


def test_at_first_nobody_can_sign(access: AccessService) -> None:
    assert not access.has_key()


def test_a_key_counts_once_it_is_added(access: AccessService, house: House) -> None:
    key = access.new_key("first")
    assert (access.has_key(), access.signer(key.id)) == (False, None)

    access.add(key)

    assert access.has_key()
    signer = access.signer(key.id)
    assert signer is not None
    assert signer.secret == key.secret
    assert signer.principal == Principal(
        access_key_id=key.id, name="first", arn="arn:aws:iam::123456789012:user/first"
    )
    assert (key.name, key.created_at) == ("first", house.clock.time)


def test_each_key_is_drawn_anew(access: AccessService) -> None:
    keys = [access.new_key("any") for _ in range(3)]
    for key in keys:
        access.add(key)

    assert len({key.id for key in keys}) == 3
    signers = [access.signer(key.id) for key in keys]
    assert [signer and signer.secret for signer in signers] == [key.secret for key in keys]


def test_a_key_looks_as_clients_expect(access: AccessService) -> None:
    key = access.new_key("first")

    assert re.fullmatch(r"BLEM[A-Z2-7]{16}", key.id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", key.secret)


def test_an_unknown_key_has_no_secret(access: AccessService) -> None:
    access.add(access.new_key("first"))

    assert access.signer("BLEMUNKNOWN") is None
