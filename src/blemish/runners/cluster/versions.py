"""The versions that a server and the nodes of a Ray cluster must share.

A driver sends these functions to the nodes by value, so they work on a node that lacks Blemish.
They use the standard library alone, and Ray where it runs them.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MISSING = "missing"


def installed_versions() -> dict[str, str]:
    """Return the versions of Python, Ray and Blemish here; `missing` for what is not installed."""
    versions = {"Python": platform.python_version()}
    for name, package in (("Ray", "ray"), ("Blemish", "blemish")):
        try:
            versions[name] = version(package)
        except PackageNotFoundError:
            versions[name] = MISSING
    return versions


def version_problem(
    installed: Mapping[str, str], *, expected: Mapping[str, str], where: str
) -> str | None:
    """Return what differs from the server and what to install; None if nothing does.

    Args:
        installed: the versions of a node, as far as they are known.
        expected: the versions of the server.
        where: the node or the cluster, as the subject of a sentence.
    """
    others = [name for name, number in installed.items() if number != expected[name]]
    if not others:
        return None
    there = " and ".join(
        f"no {name}" if installed[name] == MISSING else f"{name} {installed[name]}"
        for name in others
    )
    ours = " and ".join(f"{name} {expected[name]}" for name in others)
    return (
        f"{where} has {there}; the server has {ours}. Install there, in Python "
        f"{expected['Python']}: pip install 'blemish[ray]=={expected['Blemish']}' "
        f"'ray=={expected['Ray']}'"
    )


def call_on_node(expected: Mapping[str, str], module: str, function: str, *arguments: Any) -> Any:
    """Call a function on this node if it has the versions of the server.

    Raises:
        ImportError: it has not; the message says what to install.
    """
    where = f"The node {platform.node()} of the Ray cluster"
    problem = version_problem(installed_versions(), expected=expected, where=where)
    if problem:
        raise ImportError(problem)
    return getattr(import_module(module), function)(*arguments)


def stream_from_node(
    expected: Mapping[str, str], module: str, function: str, *arguments: Any
) -> Iterator[Any]:
    """Yield Ray's id of this node, then what a function yields here; errors as `call_on_node`.

    Ray streams the results of generator functions alone.
    """
    results = call_on_node(expected, module, function, *arguments)
    import ray  # noqa: PLC0415 - this module is for nodes without it, too

    yield ray.get_runtime_context().get_node_id()
    yield from results


class NodeObject:
    """An actor: an object of a class of Blemish, on a node with the versions of the server."""

    def make(self, expected: Mapping[str, str], module: str, name: str, *arguments: Any) -> None:
        """Make the object; errors as `call_on_node`."""
        self._object = call_on_node(expected, module, name, *arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object."""
        return getattr(self._object, method)(*arguments)
