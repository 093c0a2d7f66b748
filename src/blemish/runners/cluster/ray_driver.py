"""Trainings on the nodes of a Ray cluster, whose bundles are sealed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from blemish.engine.bundle import parse_bundle
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.runners.attempt_folder import seal_bundle
from blemish.runners.child_process import Message
from blemish.runners.cluster.connection import connect, loss, on_node, preferring
from blemish.runners.cluster.node_training import backbone_file, node_document, train_on_node
from blemish.runners.training_process import outcome
from blemish.service.training.runner import TrainingResult, TrainingSpec
from blemish.storage.encryption.encryption import open_encryption
from blemish.storage.stored_files import stored_lines

WAITING = Progress(step="waiting for a node of the Ray cluster", done=0, total=1)


class RayDriver:
    """Has a training done on a node of a cluster."""

    def __init__(self, address: str, *, resources: Mapping[str, Mapping[str, float]]) -> None:
        """Connect to the cluster.

        Args:
            address: of its head.
            resources: that a training takes of a node, as arguments of a Ray task, by project;
                those of other projects by the empty name.

        Raises:
            ClusterUnavailableError: it cannot be reached, or has other versions.
        """
        connect(address)
        self._resources = resources
        #: where the last training was, whose process waits there for another one
        self._node: str | None = None

    def run(self, spec: TrainingSpec, progress: ProgressCallback) -> Message:
        """Train on a node; return the message that says how it ended."""
        encryption = open_encryption(spec.encryption_connection)
        lines = tuple(stored_lines(Path(spec.entries), encryption=encryption))
        progress(WAITING)
        resources = self._resources.get(spec.project, self._resources[""])
        spec = replace(spec, threads=int(resources["num_cpus"]))
        train = on_node(
            train_on_node,
            resources=resources,
            name=f"{train_on_node.__name__} {spec.project} {spec.version}",
            scheduling_strategy=preferring(self._node),
            num_returns="streaming",
            max_retries=0,  # a lost node is the next attempt's matter, which the server counts
        )
        ended: Message = {"interrupted": "the task on the node ended without a result."}
        try:
            for answer in train(node_document(spec), lines, backbone_file(spec)):
                match ray.get(answer):
                    case str() as node:
                        self._node = node
                    case {"progress": step}:
                        progress(Progress(**step))
                    case message:
                        ended = message
        except RayError as error:
            return {"interrupted": loss(error)}
        if "trained" not in ended:
            return ended
        files, bundle = ended.pop("files"), ended.pop("bundle")
        return outcome(lambda: _stored(spec, ended["trained"], files, bundle))


def _stored(
    spec: TrainingSpec,
    result: Mapping[str, Any],
    files: Mapping[str, bytes],
    bundle: Mapping[str, bytes],
) -> TrainingResult:
    """Write what the node returned into the attempt's folder; seal the bundle."""
    for name, data in files.items():
        (Path(spec.folder) / name).write_bytes(data)
    trained = parse_bundle(lambda name: bundle[name], name=spec.bundle)
    seal_bundle(spec, trained, encryption=open_encryption(spec.encryption_connection))
    return TrainingResult(**result)
