from __future__ import annotations

import pytest

from blemish.server.connections import MAX_CONNECTIONS, Connections, connections_within


class Waiting:
    """A connection that waits for a head."""

    has_made_way = False

    def make_way(self) -> None:
        self.has_made_way = True


def test_the_connection_that_waited_longest_makes_way_for_a_new_one() -> None:
    connections = Connections(2)
    first, second = Waiting(), Waiting()
    for number, connection in enumerate((first, second)):
        slot = connections.admit(f"192.0.2.{number}")
        assert slot is not None
        slot.wait(connection)

    admitted = connections.admit("192.0.2.7")

    assert admitted is not None
    assert (first.has_made_way, second.has_made_way) == (True, False)
    assert connections.open == 2


def test_connections_with_requests_under_way_stay_and_a_new_one_is_refused() -> None:
    connections = Connections(2)
    for number in range(2):
        slot = connections.admit(f"192.0.2.{number}")
        assert slot is not None
        slot.wait(Waiting())
        slot.work()

    assert connections.admit("192.0.2.7") is None


def test_a_slot_that_is_released_twice_counts_once() -> None:
    connections = Connections(2)
    slot, other = connections.admit("192.0.2.1"), connections.admit("192.0.2.2")
    assert slot is not None
    assert other is not None

    slot.release()
    slot.release()

    assert connections.open == 1


@pytest.mark.parametrize(
    ("addresses", "admitted"),
    [
        (["192.0.2.1"] * 3, 2),
        (["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"], 2),
        (["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3::3"], 2),
        (["2001:db8:1:2::1", "2001:db8:1:3::1", "fe80::1%eth0"], 3),
        (["127.0.0.1"] * 3, 3),  # a proxy
    ],
)
def test_one_address_has_at_most_half_of_the_connections(
    addresses: list[str], admitted: int
) -> None:
    connections = Connections(4)

    slots = [connections.admit(address) for address in addresses]

    assert sum(slot is not None for slot in slots) == admitted


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 48), (1_024, 768), (20_000, MAX_CONNECTIONS)]
)
def test_descriptors_are_kept_back_for_the_server_itself(
    descriptors: int, connections: int
) -> None:
    assert connections_within(descriptors) == connections
