"""A training on another machine, which gets neither keys nor files of the server.

What it needs comes as arguments, and what it made goes back as messages. The driver imports this
module, too, so what trains is imported on the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from blemish.engine.backbones.catalogue import is_packaged
from blemish.engine.bundle import Bundle, bundle_files
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.runners.child_process import HEARTBEAT_S, Message
from blemish.runners.training_process import outcome
from blemish.service.training.runner import TrainingResult, TrainingSpec
from blemish.storage.objects.open_store import open_store


def node_document(spec: TrainingSpec) -> Mapping[str, Any]:
    """Return the spec as a node gets it, without the keys and the server's paths."""
    return asdict(replace(spec, encryption_connection={}, entries="", folder="", backbone=None))


def backbone_file(spec: TrainingSpec) -> bytes | str | None:
    """Return the backbone as a node gets it: the content of its file, or its name."""
    if spec.backbone is None or is_packaged(spec.backbone):
        return spec.backbone
    return Path(spec.backbone).read_bytes()


def train_on_node(
    document: Mapping[str, Any], lines: tuple[str, ...], backbone: bytes | str | None
) -> Iterator[Message]:
    """Train on this node; yield the progress once a second, and last how it ended.

    A driver sends the server no more than that, and each message takes both machines' time.
    The last message of a training that succeeded has the evaluation files and the files of the
    bundle by name.
    """
    latest: deque[Progress] = deque(maxlen=1)
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(_trained, document, lines, backbone, latest.append)
        ended = False
        while not ended:
            ended = bool(wait([training], timeout=HEARTBEAT_S).done)
            if latest:
                yield {"progress": asdict(latest.pop())}
        yield training.result()


def _trained(
    document: Mapping[str, Any],
    lines: tuple[str, ...],
    backbone: bytes | str | None,
    report: ProgressCallback,
) -> Message:
    from blemish.runners.training_job import train_entries

    bundles: list[Bundle] = []
    with TemporaryDirectory(prefix="blemish-training-") as folder:
        spec = replace(TrainingSpec.of_json(document), folder=folder)
        unseen = unreachable_folder(spec.store_connection)
        if unseen is not None:
            return {"failed": unseen, "problems": ()}
        if isinstance(backbone, bytes):
            path = Path(folder) / "backbone.onnx"
            path.write_bytes(backbone)
            backbone = str(path)
        spec = replace(spec, backbone=backbone)

        def train() -> TrainingResult:
            objects = open_store(spec.store_connection)
            result, bundle = train_entries(spec, lines, objects=objects, progress=report)
            bundles.append(bundle)
            return result

        message = outcome(train)
        if "trained" in message:
            names = message["trained"]["files"]
            message["files"] = {name: (Path(folder) / name).read_bytes() for name in names}
            message["bundle"] = bundle_files(bundles[0])
        return message


def unreachable_folder(connection: Mapping[str, Any]) -> str | None:
    """Say why the buckets cannot be read here; None if they can, or are in an S3."""
    folder = connection.get("folder")
    if folder is None or Path(folder).is_dir():
        return None
    return (
        f"A node of the Ray cluster does not see the folder {folder} of the buckets. Keep the "
        "buckets in an S3 (BLEMISH_S3_ENDPOINT), or mount the folder on every node."
    )
