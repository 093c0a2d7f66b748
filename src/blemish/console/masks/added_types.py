"""Names of anomaly types that people added and no mask shows yet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

MAX_ADDED_PROJECTS = 100
"""Projects whose added types are remembered."""


class AddedTypes:
    """Names of types that were added, by project."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, list[str]] = OrderedDict()

    def of(self, project: str) -> Sequence[str]:
        """Return the names that were added to a project, the first one first."""
        return tuple(self._names.get(project, ()))

    def add(self, project: str, name: str) -> None:
        """Remember a name."""
        self._names.setdefault(project, []).append(name)
        self._names.move_to_end(project)
        while len(self._names) > MAX_ADDED_PROJECTS:
            self._names.popitem(last=False)

    def forget(self, project: str, name: str) -> None:
        """Forget a name, if it is there."""
        if name in self._names.get(project, ()):
            self._names[project].remove(name)
