"""The connection of a driver to a Ray cluster, and calls of functions on the nodes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from blemish.runners.cluster import versions
from blemish.runners.cluster.unavailable import ClusterUnavailableError, first_line
from blemish.runners.cluster.versions import (
    call_on_node,
    installed_versions,
    stream_from_node,
    version_problem,
)

ray.cloudpickle.register_pickle_by_value(versions)

NO_NODE = "resolve node to connect to"
"""Words of Ray where the driver's machine has no node. Source: ray/_private/services.py."""

PROBE_PATIENCE_S = 60.0
"""How long a node may take to start a process that answers."""


def connect(address: str) -> None:
    """Connect this process to a cluster, as its driver.

    Args:
        address: HOST:PORT of the head.

    Raises:
        ClusterUnavailableError: it cannot be reached, or has other versions.
    """
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, RayError) as error:
        where = f"The Ray cluster at {address}"
        text = str(error)
        if NO_NODE in text:
            raise ClusterUnavailableError(
                f"This machine is no node of the Ray cluster at {address}. Make it one without "
                f"CPUs for tasks: ray start --address {address} --num-cpus 0"
            ) from error
        cluster = {
            name: match[1]
            for name, pattern in (("Ray", r"Ray: (\S+)"), ("Python", r"Python: (\S+)"))
            if (match := re.search(pattern, text))
        }
        problem = version_problem(cluster, expected=installed_versions(), where=where)
        raise ClusterUnavailableError(
            problem or f"{where} does not answer: {first_line(error)}"
        ) from error


def on_node(
    function: Callable[..., Any], *, resources: Mapping[str, Any], **options: Any
) -> Callable[..., Any]:
    """Return what calls a function on a node with the versions of the server.

    A node that has other versions raises ImportError with what to install.

    Args:
        function: of a module of Blemish; a generator function streams what it yields, after the
            id of its node.
        resources: that a call takes of a node, as arguments of a Ray task.
        options: of the Ray task.
    """
    streams = inspect.isgeneratorfunction(function)
    task = ray.remote(stream_from_node if streams else call_on_node).options(
        **{"name": function.__name__, **resources, **options}
    )
    start = (installed_versions(), function.__module__, function.__name__)
    return lambda *arguments: task.remote(*start, *arguments)


def preferring(node: str | None) -> Any:
    """Return the option `scheduling_strategy` of a task that prefers a node, if it is free.

    A process of this driver may wait there. Without the private argument the task would wait for
    a node that is taken, though others are free.
    """
    if node is None:
        return "DEFAULT"
    return NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True)


def loss(error: RayError) -> str:
    """Return the reason of a task that ended without a result, as a sentence.

    Raises:
        RayTaskError: it is an error of Blemish, which the log must show.
    """
    if isinstance(error, RayTaskError):
        if isinstance(error.cause, (ImportError, ClusterUnavailableError)):
            return str(error.cause)
        raise error
    return f"the node was lost: {first_line(error)}"


def free_resources() -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return what all nodes together have free, and what they have, by the name of a resource."""
    return ray.available_resources(), ray.cluster_resources()


def node_problems() -> list[str]:
    """Return what is wrong with the nodes, a sentence for each node, after asking them all."""
    probe = ray.remote(installed_versions)
    answers = {}
    for node in ray.nodes():
        if node["Alive"]:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = probe.options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
            answers[options.remote()] = f"The node {node['NodeManagerAddress']} of the Ray cluster"
    ready, silent = ray.wait([*answers], num_returns=len(answers), timeout=PROBE_PATIENCE_S)
    problems = [f"{answers[answer]} does not answer." for answer in silent]
    for answer in ready:
        try:
            problem = version_problem(
                ray.get(answer), expected=installed_versions(), where=answers[answer]
            )
        except RayError as error:
            problem = f"{answers[answer]} cannot run a task: {first_line(error)}"
        problems += [problem] if problem else []
    return problems
