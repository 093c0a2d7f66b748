"""Checks of the Ray cluster that the settings name."""

from __future__ import annotations

from collections.abc import Iterator

from blemish.doctor.report import Finding, Level
from blemish.runners.cluster.check import ClusterCheck

_TOPIC = "ray"


def cluster_findings(address: str | None) -> Iterator[Finding]:
    """Yield whether the cluster at an address can be used; nothing without one."""
    if address is None:
        return
    problem = ClusterCheck(address).check()
    if problem is None:
        message = f"Every node of the cluster at {address} has the versions of this machine."
        yield Finding(topic=_TOPIC, level=Level.OK, message=message)
        return
    yield Finding(
        topic=_TOPIC,
        level=Level.PROBLEM,
        message=problem,
        remedy="docs/guide/ray.md says how the cluster is started.",
    )
