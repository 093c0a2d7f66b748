"""`blemish datasets import`: the labelled images of another tool become datasets of a project."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from blemish.cli.connection import ServerClients, make_missing_bucket
from blemish.domain.entities import DatasetType
from blemish.domain.lifecycle import DATASET_FAILED, DATASET_IN_PROGRESS
from blemish.engine.images.formats import unknown_content
from blemish.engine.images.headers import media_type
from blemish.interchange.drafts import (
    DraftEntry,
    LabelledDataset,
    draft_entries,
    import_line,
    read_dataset,
)
from blemish.interchange.files import DatasetFiles, open_files
from blemish.interchange.labelled import InterchangeError

UPLOADS = 4
"""Images that are sent at the same time."""

CHANGE_BYTES = 8 * 1024 * 1024
"""JSON Lines in one change of a dataset that exists; the API takes 10 MiB."""

POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class ImportTarget:
    """Where the images go."""

    project: str
    bucket: str
    #: ends in a slash
    prefix: str


def import_dataset(
    clients: ServerClients,
    source: Path,
    target: ImportTarget,
    *,
    format_name: str | None,
    console: Console,
) -> None:
    """Read a folder or a ZIP archive, check all of it, store it, and make the datasets.

    Raises:
        InterchangeError: the data cannot be used.
        ClientError, BotoCoreError: the server refused something, or cannot be reached.
    """
    files = open_files(source)
    dataset = read_dataset(files, format_name=format_name)
    _say_format(console, dataset)
    with tempfile.TemporaryDirectory(prefix="blemish-import-") as folder, progress(console) as bars:
        task = bars.add_task("Checking", total=len(dataset.images))
        entries = draft_entries(
            files, dataset, folder=Path(folder), advance=partial(bars.advance, task)
        )
        task = bars.add_task("Storing", total=len(entries))
        make_missing_bucket(clients.s3, target.bucket)
        lines = _store(clients.s3, files, entries, target, advance=partial(bars.advance, task))
    for sentence in dataset.notes.sentences():
        console.print(sentence, soft_wrap=True)
    _make_project(clients.lookoutvision, target.project)
    for kind, kind_lines in lines.items():
        message = _make_dataset(clients, target, kind, kind_lines)
        console.print(f"{kind}: {_counts(entries, kind)}. {message}", soft_wrap=True)


def progress(console: Console) -> Progress:
    """Return progress bars for commands that work long."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _say_format(console: Console, dataset: LabelledDataset) -> None:
    console.print(f"Format: {dataset.format.title} ({dataset.format.name})")
    if dataset.others:
        names = ", ".join(other.name for other in dataset.others)
        console.print(f"It also looks like {names}; --format names another one.", soft_wrap=True)


def _counts(entries: Sequence[DraftEntry], kind: DatasetType) -> str:
    labels = Counter(
        str(entry.label or "without a label") for entry in entries if entry.kind is kind
    )
    masks = sum(entry.mask is not None for entry in entries if entry.kind is kind)
    counts = ", ".join(f"{count:,} {label}" for label, count in sorted(labels.items()))
    return f"{counts}, {masks:,} with a mask"


def _store(
    s3: Any,
    files: DatasetFiles,
    entries: Sequence[DraftEntry],
    target: ImportTarget,
    *,
    advance: Callable[[], None],
) -> dict[DatasetType, list[str]]:
    """Store images and masks; return the JSON Lines of each dataset."""
    now = datetime.now(UTC)
    lines: defaultdict[DatasetType, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(UPLOADS) as threads:
        try:
            for entry, _ in zip(
                entries, threads.map(partial(_put, s3, files, target), entries), strict=True
            ):
                lines[entry.kind].append(_line(entry, target, now))
                advance()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return lines


def _line(entry: DraftEntry, target: ImportTarget, now: datetime) -> str:
    folder = f"s3://{target.bucket}/{target.prefix}"
    return import_line(
        folder + entry.path,
        label=entry.label,
        mask_ref=folder + entry.mask_path if entry.mask else None,
        colors=entry.colors,
        mask_orientation=entry.mask_orientation,
        now=now,
    )


def _put(s3: Any, files: DatasetFiles, target: ImportTarget, entry: DraftEntry) -> None:
    data = files.read_image(entry.path)
    kind = media_type(data)
    if kind is None:
        raise InterchangeError(f"{entry.path}: the file {unknown_content(data)} now.")
    s3.put_object(Bucket=target.bucket, Key=target.prefix + entry.path, Body=data, ContentType=kind)
    if entry.mask is not None:
        s3.put_object(
            Bucket=target.bucket,
            Key=target.prefix + entry.mask_path,
            Body=entry.mask.read_bytes(),
            ContentType="image/png",
        )


def _make_project(client: Any, project: str) -> None:
    try:
        client.create_project(ProjectName=project)
    except client.exceptions.ConflictException:
        return  # it exists


def _make_dataset(
    clients: ServerClients, target: ImportTarget, kind: DatasetType, lines: Sequence[str]
) -> str:
    """Make a dataset of JSON Lines, or add them to the one that there is; return what it says."""
    client = clients.lookoutvision
    names = {"ProjectName": target.project, "DatasetType": str(kind)}
    key = f"{target.prefix}{kind}.manifest"
    body = "".join(f"{line}\n" for line in lines).encode()
    clients.s3.put_object(Bucket=target.bucket, Key=key, Body=body)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": target.bucket, "Key": key}}}
    try:
        client.create_dataset(**names, DatasetSource=source)
    except client.exceptions.ConflictException:
        for changes in _batches(lines):
            client.update_dataset_entries(**names, Changes=changes)
            _wait(client, names)
    return _wait(client, names)


def _batches(lines: Sequence[str]) -> Iterator[bytes]:
    batch = bytearray()
    for line in lines:
        data = line.encode() + b"\n"
        if batch and len(batch) + len(data) > CHANGE_BYTES:
            yield bytes(batch)
            batch.clear()
        batch += data
    if batch:
        yield bytes(batch)


def _wait(client: Any, names: dict[str, str]) -> str:
    while True:
        description = client.describe_dataset(**names)["DatasetDescription"]
        if description["Status"] in DATASET_FAILED:
            raise InterchangeError(
                f"The dataset {names['DatasetType']} of {names['ProjectName']} is "
                f"{description['Status']}: {description['StatusMessage']}"
            )
        if description["Status"] not in DATASET_IN_PROGRESS:
            return str(description["StatusMessage"])
        time.sleep(POLL_S)
