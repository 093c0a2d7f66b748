"""Servers that share a database know each other, and free nobody's work but their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from blemish.domain.entities import Model
from blemish.service.housekeeping import REMAINS_AGE, Housekeeping
from blemish.service.membership import (
    FORGOTTEN_AFTER,
    DefaultKey,
    Membership,
    directory_id_of,
)
from blemish.storage.data_directory import DataDirectory
from blemish.storage.encryption.keyring import Keyring
from blemish.storage.errors import ServersDifferError
from blemish.storage.rows.servers import ServerRow
from tests.unit.house import LEASE, House
from tests.unit.storage.samples import access_key
from tests.unit.storage.sealing import key


def member(
    house: House,
    server_id: str,
    *,
    directory: str,
    host: str = "mill-1",
    stores: str = "buckets in http://s3",
) -> Membership:
    now = house.clock()
    server = ServerRow(
        id=server_id,
        directory_id=directory,
        host=host,
        address=f"{host}:8000",
        version="1.0",
        stores=stores,
        started_at=now,
        beat_at=now,
    )
    return Membership(house.database, server=server, clock=lambda _: house.clock(), lease=LEASE)


def ids(house: House) -> list[str]:
    with house.database.reading() as rows:
        return [server.id for server in rows.servers.all()]


def claim(house: House, model: Model, owner: str) -> None:
    now = house.clock()
    with house.database.writing() as rows:
        assert rows.models.claim(model.id, owner=owner, now=now, lease_until=now + LEASE)


def held(house: House) -> set[int]:
    with house.database.reading() as rows:
        return rows.work.leased(house.clock())["training"]


def test_a_restart_frees_what_the_former_process_of_the_directory_held(trainable: House) -> None:
    ours, theirs = trainable.model(), trainable.model()
    member(trainable, "a1", directory="a").join()
    member(trainable, "b1", directory="b").join()
    claim(trainable, ours, "a1")
    claim(trainable, theirs, "b1")

    member(trainable, "a2", directory="a").join()

    assert held(trainable) == {theirs.id}
    assert ids(trainable) == ["a2", "b1"]
    with trainable.database.reading() as rows:
        model = rows.models.find(ours.project, ours.version)
    assert model is not None
    assert model.interruptions == 1
    assert model.not_before is not None


def test_a_copy_of_the_directory_on_another_machine_is_left_alone_until_it_is_silent(
    trainable: House,
) -> None:
    model = trainable.model()
    member(trainable, "a1", directory="a", host="mill-1").join()
    claim(trainable, model, "a1")

    member(trainable, "a2", directory="a", host="mill-2").join()
    while_alive = held(trainable)
    trainable.clock.advance(LEASE.total_seconds() + 1)
    member(trainable, "a3", directory="a", host="mill-3").join()

    assert while_alive == {model.id}
    assert ids(trainable) == ["a3"]


def test_a_server_leaves_and_one_whose_row_was_removed_adds_it_again(house: House) -> None:
    first, second = (member(house, name, directory=name) for name in ("a", "b"))
    first.join()
    house.clock.advance(FORGOTTEN_AFTER.total_seconds() + 1)
    second.join()
    forgotten = ids(house)
    first.beat()
    first.beat()
    again = ids(house)
    second.leave()

    assert forgotten == ["b"]
    assert sorted(again) == ["a", "b"]
    assert ids(house) == ["a"]


def pass_time(house: House, seconds: int, *members: Membership) -> None:
    """Let time pass while these servers are alive."""
    for _ in range(seconds):
        house.clock.advance(1)
        for server in members:
            server.beat()


def test_the_loss_of_a_server_is_logged_once_with_its_work_and_so_is_its_return(
    trainable: House,
) -> None:
    model = trainable.model()
    judge = member(trainable, "a1", directory="a")
    lost = member(trainable, "b1", directory="b", host="mill-2")
    judge.join()
    lost.join()
    claim(trainable, model, "b1")
    pass_time(trainable, 15, judge, lost)

    with capture_logs() as logged:
        pass_time(trainable, 30, judge)
        member(trainable, "b2", directory="b", host="mill-2").join()
        pass_time(trainable, 2, judge)

    of_loss, of_join, of_return = logged
    address = {"host": "mill-2", "address": "mill-2:8000"}
    assert of_loss.items() >= {"log_level": "warning", "server": "b1"}.items() | address.items()
    assert "a server was lost" in of_loss["event"]
    assert of_loss["work"] == {"models": 1}
    assert of_join["event"] == "server joined"
    assert of_return == {
        "event": "a server that was lost is back",
        "log_level": "info",
        "server": "b2",
        **address,
    }


def test_a_server_that_leaves_is_logged_once_and_one_that_starts_anew_is_not(house: House) -> None:
    stays, leaves, restarts = (member(house, name, directory=name) for name in ("a", "b", "c"))
    for server in (leaves, restarts, stays):
        server.join()

    with capture_logs() as logged:
        leaves.leave()
        restarts.leave()
        member(house, "c2", directory="c").join()
        pass_time(house, 3, stays)

    assert [line for line in logged if line["event"] != "server joined"] == [
        {
            "event": "a server has left",
            "log_level": "info",
            "server": "b",
            "host": "mill-1",
            "address": "mill-1:8000",
        }
    ]


def test_a_server_that_was_silent_itself_does_not_judge_the_others_at_once(house: House) -> None:
    first, second = (member(house, name, directory=name) for name in ("a", "b"))
    first.join()
    second.join()
    pass_time(house, 15, first, second)

    with capture_logs() as logged:
        house.clock.advance(60)  # the database was away
        first.beat()
        pass_time(house, 15, first, second)

    assert [line["event"] for line in logged] == 2 * [
        "this server was silent; others may have its work"
    ]


def test_the_id_of_a_directory_is_drawn_once(house: House) -> None:
    path, staging = house.directory.server, house.directory.staging

    drawn = directory_id_of(path, staging=staging)

    assert directory_id_of(path, staging=staging) == drawn
    assert len(drawn) == 36


def test_a_server_with_other_stores_than_one_that_is_alive_is_refused(house: House) -> None:
    member(house, "a", directory="a").join()
    other = member(house, "b", directory="b", stores="buckets in http://other")

    with pytest.raises(ServersDifferError, match=r"mill-1:8000 .*http://s3.*http://other"):
        other.join()
    refused = ids(house)
    house.clock.advance(LEASE.total_seconds() + 1)
    other.join()

    assert refused == ["a"]
    assert ids(house) == ["a", "b"]


def keyring(house: House, name: str) -> Keyring:
    folder = house.directory.root / name
    folder.mkdir()
    return Keyring(folder, staging=house.directory.staging)


def test_servers_have_one_default_key(house: House) -> None:
    first, second = keyring(house, "first"), keyring(house, "second")
    DefaultKey(house.database, first).settle(key(1), opens=None)

    with pytest.raises(
        ServersDifferError, match=f"a default key that {second.folder} does not hold"
    ):
        DefaultKey(house.database, second).settle(key(2), opens=None)
    assert second.held() == []
    second.settle(key(2))
    with pytest.raises(ServersDifferError):
        DefaultKey(house.database, second).settle(key(3), opens=None)
    (second.folder / f"{key(2).id}.json").unlink()
    second.settle(key(1))
    DefaultKey(house.database, second).settle(key(3), opens=None)
    DefaultKey(house.database, first).settle(key(3), opens=None)

    assert first.default() == second.default() == key(1)


def test_a_new_server_that_opens_no_secret_has_another_key_than_the_one_before(
    house: House,
) -> None:
    with house.database.writing() as rows:
        rows.keys.add(access_key())
    new = keyring(house, "new")

    with pytest.raises(ServersDifferError):
        DefaultKey(house.database, new).settle(key(2), opens=lambda _: False)
    assert new.held() == []
    DefaultKey(house.database, new).settle(key(2), opens=lambda _: True)

    assert new.default() == key(2)


def test_an_adopted_database_takes_the_key_of_the_server(house: House) -> None:
    first, second = keyring(house, "first"), keyring(house, "second")
    DefaultKey(house.database, first).settle(key(1), opens=None)

    DefaultKey(house.database, second).settle(key(2), opens=None, forgets=True)

    with pytest.raises(ServersDifferError):
        DefaultKey(house.database, first).settle(key(3), opens=None)


def test_housekeeping_of_one_server_leaves_the_work_of_others(house: House) -> None:
    other = DataDirectory(house.directory.root / "other")
    other.create()
    house.project()
    house.images(normal=15)
    model = house.model()
    claim(house, model, "b1")
    ours, theirs = (
        Housekeeping(
            house.database,
            directory=directory,
            upload_age=timedelta(days=7),
            database_copies=2,
        )
        for directory in (house.directory, other)
    )
    attempt = other.attempts / f"{model.id}-1"
    attempt.mkdir()
    late = house.clock() + 2 * REMAINS_AGE

    ours.remove_remains(late)
    theirs.remove_remains(late)

    assert attempt.exists()
    assert house.stored_files.path(model.entries).exists()
