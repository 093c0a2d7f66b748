"""Actors on the nodes of a Ray cluster that judge images."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from blemish.engine.errors import BundleError
from blemish.runners.cluster.model_units import ActorLostError, Answer
from blemish.runners.cluster.node_hosting import NodeDetector
from blemish.runners.cluster.unavailable import first_line
from blemish.runners.cluster.versions import NodeObject, installed_versions


def stored_files(files: Mapping[str, bytes]) -> Any:
    """Store the files of a bundle in the cluster; return the reference, with which they go."""
    return ray.put(dict(files))


class RayActor:
    """A `UnitActor` on a node, which Ray selects; it waits until one has the resources."""

    def __init__(self, *, resources: Mapping[str, float], loading: Mapping[str, Any]) -> None:
        """Ask for a process on a node.

        Args:
            resources: that the actor takes of a node, as arguments of a Ray actor.
            loading: options of `Detector.load`.
        """
        self._loading = loading
        actor = ray.remote(NodeObject).options(**resources, max_restarts=0, max_task_retries=0)
        self._actor = actor.remote()

    async def load(self, bundle: Any) -> None:
        """See `UnitActor`; the bundle is what `stored_files` returned."""
        start = (installed_versions(), NodeDetector.__module__, NodeDetector.__name__)
        await self._result(self._actor.make.remote(*start, bundle, self._loading))

    async def detect(self, document: Mapping[str, Any], data: bytes) -> Answer:
        """See `UnitActor`."""
        answer: Answer = await self._result(
            self._actor.call.remote("detect", data, document["limits"], document["mixed_sizes"])
        )
        return answer

    async def check(self) -> None:
        """See `UnitActor`."""
        await self._result(self._actor.call.remote("check"))

    def end(self) -> None:
        """See `UnitActor`."""
        ray.kill(self._actor)

    async def _result(self, reference: Any) -> Any:
        try:
            return await asyncio.wrap_future(reference.future())
        except RayTaskError as error:
            if isinstance(error.cause, (BundleError, ImportError)):
                raise BundleError(str(error.cause)) from error
            raise ActorLostError(f"a node failed: {error.cause}") from error
        except RayError as error:
            raise ActorLostError(f"an actor was lost: {first_line(error)}") from error
