from __future__ import annotations

import pytest

from blemish.domain.access.builtin_policies import READ_ONLY, policy_of
from blemish.domain.access.principals import Principal
from blemish.service.access.authentication import AccessService
from blemish.storage.errors import KeyUnavailableError
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse


@pytest.fixture
def there(house: House) -> KeyHouse:
    return KeyHouse(house)


def test_who_signs_is_told_with_all_that_policies_ask_for(there: KeyHouse) -> None:
    pair = there.create("line-4", policy=READ_ONLY, tags={"line": "4"})

    signer = there.access.signer(pair.id)

    assert signer is not None
    assert signer.secret == pair.secret
    assert signer.principal == Principal(
        access_key_id=pair.id,
        name="line-4",
        arn="arn:aws:iam::123456789012:user/line-4",
        tags={"line": "4"},
        policy=policy_of(READ_ONLY),
    )


def test_an_unknown_key_signs_nothing(there: KeyHouse) -> None:
    there.create("line-4")

    assert there.access.signer("BLEMUNKNOWN") is None


def test_what_another_process_changes_counts_at_once(there: KeyHouse) -> None:
    pair = there.create("line-4")
    others = KeyHouse(there.house, seed=1)
    assert there.access.signer(pair.id)

    others.keys.set_enabled("line-4", enabled=False)
    disabled = there.access.signer(pair.id)
    others.keys.set_enabled("line-4", enabled=True)
    others.keys.set_policy("line-4", READ_ONLY)
    enabled = there.access.signer(pair.id)
    new = others.keys.draw()
    others.keys.rotate("line-4", new)
    rotated = there.access.signer(new.id)
    before = there.access.signer(pair.id)
    others.keys.delete("line-4")

    assert disabled is None
    assert enabled is not None
    assert enabled.principal.policy == policy_of(READ_ONLY)
    assert rotated is not None
    assert (rotated.secret, rotated.principal.name) == (new.secret, "line-4")
    assert before is None
    assert there.access.signer(new.id) is None


def test_secrets_are_opened_once(there: KeyHouse) -> None:
    pairs = [there.create("line-4"), there.create("line-5")]
    for pair in pairs:
        there.access.signer(pair.id)

    there.lose_keyring()

    signers = [there.access.signer(pair.id) for pair in pairs]
    assert [signer and signer.secret for signer in signers] == [pair.secret for pair in pairs]


def test_a_secret_without_its_key_is_told_by_name(there: KeyHouse) -> None:
    pair = there.create("line-4")
    there.lose_keyring()
    anew = AccessService(
        there.house.database, encryption=there.access._encryption, arns=there.house.arns
    )

    with pytest.raises(KeyUnavailableError, match="put its file"):
        anew.signer(pair.id)
