from __future__ import annotations

from blemish.console.memory import RecentlyUsed, put_under_new_name


def test_of_too_many_values_the_longest_unused_is_forgotten() -> None:
    memory: RecentlyUsed[str, int] = RecentlyUsed(limit=2)
    memory.put("a", 1)
    memory.put("b", 2)
    memory.find("a")
    memory.put("c", 3)

    assert [memory.find(key) for key in "abc"] == [1, None, 3]


def test_each_value_gets_a_name_of_its_own() -> None:
    memory: RecentlyUsed[str, int] = RecentlyUsed(limit=2)

    names = [put_under_new_name(memory, value) for value in (1, 2)]

    assert len(set(names)) == 2
    assert [memory.find(name) for name in names] == [1, 2]
