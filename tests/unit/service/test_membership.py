"""Servers that share a database know each other, and free nobody's work but their own."""

from __future__ import annotations

from blemish.domain.entities import Model
from blemish.service.membership import FORGOTTEN_AFTER, Membership, directory_id_of
from blemish.storage.rows.servers import ServerRow
from tests.unit.house import LEASE, House


def member(house: House, server_id: str, *, directory: str, host: str = "mill-1") -> Membership:
    now = house.clock()
    server = ServerRow(
        id=server_id,
        directory_id=directory,
        host=host,
        address=f"{host}:8000",
        version="1.0",
        stores="buckets in http://s3",
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


def test_the_id_of_a_directory_is_drawn_once(house: House) -> None:
    path, staging = house.directory.server, house.directory.staging

    drawn = directory_id_of(path, staging=staging)

    assert directory_id_of(path, staging=staging) == drawn
    assert len(drawn) == 36
