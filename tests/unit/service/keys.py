"""Access keys over the database of a test."""

from __future__ import annotations

import random

from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.domain.entities import KeyPair
from blemish.service.access.access_keys import AccessKeys
from blemish.service.access.authentication import AccessService
from blemish.service.access.kiosk_links import KioskLinks
from blemish.service.access.user_accounts import UserAccounts
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.keyring import DEFAULT, Keyring, new_key
from tests.unit.house import House


class KeyHouse:
    """The access keys of a house, and those who look at them."""

    def __init__(self, house: House, *, seed: int = 0) -> None:
        random_bytes = random.Random(seed).randbytes
        self.house = house
        self.keyring = Keyring(house.directory.keyring, staging=house.directory.staging)
        self.keyring.settle(new_key(DEFAULT, random_bytes=random_bytes, now=house.clock()))
        encryption = Encryption(self.keyring, random_bytes=random_bytes)
        self.access = AccessService(house.database, encryption=encryption, arns=house.arns)
        self.keys = AccessKeys(
            house.database, encryption=encryption, now=house.clock, random_bytes=random_bytes
        )
        self.kiosks = KioskLinks(
            house.database, arns=house.arns, now=house.clock, random_bytes=random_bytes
        )
        self.users = UserAccounts(house.database, now=house.clock, random_bytes=random_bytes)

    def create(
        self, name: str, *, policy: str = FULL_ACCESS, tags: dict[str, str] | None = None
    ) -> KeyPair:
        """Make a key; return what its holder signs with."""
        pair = self.keys.draw()
        self.keys.create(name, pair, policy=policy, tags=tags or {})
        return pair

    def lose_keyring(self) -> None:
        """Delete the key that seals, and make another one, as a start does."""
        for path in self.house.directory.keyring.glob("*.json"):
            path.unlink()
        drawn = new_key(DEFAULT, random_bytes=random.Random(1).randbytes, now=self.house.clock())
        self.keyring.settle(drawn)
