"""What a cluster has free for an inference unit, as text."""

from __future__ import annotations

from collections.abc import Mapping


def room_text(
    unit: Mapping[str, float], free: Mapping[str, float], total: Mapping[str, float]
) -> str:
    """Return what a unit takes of one node and what all nodes have, for the end of a sentence.

    Args:
        unit: by the name of a resource of Ray, such as CPU.
        free: of all nodes together.
        total: as `free`, used or not.
    """
    needed = {name: count for name, count in unit.items() if count}
    parts = [f"{count:g} {name}{'' if count == 1 else 's'}" for name, count in needed.items()]
    left = [f"{free.get(name, 0):g} of {total.get(name, 0):g} {name}s" for name in needed]
    return f"a unit takes {' and '.join(parts)} of a node, and {' and '.join(left)} are free"
