from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from blemish.doctor.report import Level
from blemish.doctor.shared_checks import (
    default_key_findings,
    probe_object,
    s3_right_findings,
    server_row_findings,
    shared_findings,
)
from blemish.domain.entities import ObjectRef
from blemish.service.membership import DefaultKey
from blemish.settings import Settings
from blemish.storage.encryption.keyring import Keyring
from blemish.storage.errors import StoreWriteError
from blemish.storage.objects.store import ObjectStore
from tests.unit.house import LEASE, House
from tests.unit.service.test_membership import keyring, member
from tests.unit.storage.sealing import key

REF = ObjectRef(bucket="files", key="plant/blemish-doctor/1")
STORES = "buckets in http://s3"


class RefusingStore(ObjectStore):
    """An S3 that denies deletions."""

    def delete(self, ref: ObjectRef) -> None:
        raise StoreWriteError(f"{ref} cannot be deleted (the store at http://s3 says: no).")


def test_an_s3_that_grants_everything_keeps_no_object(tmp_path: Path) -> None:
    (tmp_path / REF.bucket).mkdir()
    store = ObjectStore(tmp_path)

    (found,) = s3_right_findings(store, REF)

    assert found.level is Level.OK
    assert list(store.list(REF.bucket)) == []


def test_a_right_that_an_s3_denies_is_named(tmp_path: Path) -> None:
    (tmp_path / REF.bucket).mkdir()

    (found,) = s3_right_findings(RefusingStore(tmp_path), REF)

    assert found.level is Level.PROBLEM
    assert found.message == (
        f"{REF} cannot be deleted (the store at http://s3 says: no). "
        f"{REF} stays there until a run may delete it."
    )
    assert found.remedy is not None
    assert "s3:DeleteObject" in found.remedy


def test_what_could_not_be_deleted_is_deleted_by_the_next_run_that_may(house: House) -> None:
    house.directory.server.write_text("mill-1\n")
    settings = Settings.model_construct(files_url="s3://files/plant")
    root = house.directory.root
    (root / "files").mkdir()
    store = ObjectStore(root)

    for _ in range(2):
        list(s3_right_findings(RefusingStore(root), probe_object(settings, house.directory)))
    left = [listed.key for listed in store.list("files")]
    list(s3_right_findings(store, probe_object(settings, house.directory)))

    assert left == ["plant/blemish-doctor/mill-1"]
    assert list(store.list("files")) == []


def test_a_bucket_that_does_not_exist_is_one_problem(tmp_path: Path) -> None:
    (found,) = s3_right_findings(ObjectStore(tmp_path), REF)

    assert (found.level, found.message) == (Level.PROBLEM, "There is no bucket 'files'.")
    assert (found.remedy or "").startswith("Make it in that S3 first")


def test_an_s3_that_is_away_is_named_by_its_address(house: House) -> None:
    settings = Settings(
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key_id="a",
        s3_secret_access_key=SecretStr("secret"),
    )

    (found,) = shared_findings(settings, house.directory)

    assert found.level is Level.PROBLEM
    assert "http://127.0.0.1:9 cannot be reached" in found.message


def key_level(house: House, keyring: Keyring) -> Level:
    (found,) = default_key_findings(house.database, keyring)
    return found.level


def test_a_default_key_that_other_servers_do_not_have_is_a_problem(house: House) -> None:
    first, other, empty = (keyring(house, name) for name in ("first", "other", "empty"))

    before = key_level(house, first)
    DefaultKey(house.database, first).settle(key(1), opens=None)
    other.settle(key(2))

    assert before is Level.NOTE
    assert key_level(house, first) is Level.OK
    assert key_level(house, other) is key_level(house, empty) is Level.PROBLEM


def test_each_server_is_listed_with_its_silence(house: House) -> None:
    member(house, "a1", directory="a", stores=STORES).join()
    house.clock.advance(LEASE.total_seconds() + 2)
    member(house, "b1", directory="b", host="mill-2", stores=STORES).join()
    house.clock.advance(3)

    lost, alive = server_row_findings(
        house.database, directory_id="b", stores=STORES, now=house.clock
    )
    _, differing = server_row_findings(
        house.database, directory_id="b", stores="buckets in http://other", now=house.clock
    )

    assert (lost.level, alive.level, differing.level) == (Level.WARNING, Level.OK, Level.PROBLEM)
    assert lost.message == ("mill-1:8000 on mill-1, version 1.0, last heard of 15 s ago, id a1")
    assert alive.message == (
        "mill-2:8000 on mill-2 (this data directory), version 1.0, last heard of 3 s ago, id b1"
    )
    assert differing.message.endswith(f"{STORES}, and these settings buckets in http://other")
