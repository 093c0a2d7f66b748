"""`blemish datasets export`: the datasets of a project as a ZIP archive for other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError
from rich.console import Console

from blemish.cli.connection import ServerClients, error_text
from blemish.cli.dataset_import import progress
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.interchange.archives import DatasetArchive
from blemish.interchange.exports import check_export_format, export_archive
from blemish.interchange.labelled import InterchangeError


def export_dataset(
    clients: ServerClients, project: str, to: Path, *, format_name: str, console: Console
) -> None:
    """Write the datasets of a project into a new ZIP archive.

    Raises:
        InterchangeError: the format is unknown, or the project has no images.
        ClientError, BotoCoreError: the server refused something, or cannot be reached.
        OSError: the archive cannot be written.
    """
    if to.exists():
        raise InterchangeError(f"{to} exists already. Name a file that does not.")
    now = datetime.now(UTC)
    check_export_format(format_name)
    totals = _totals(clients.lookoutvision, project)
    if not totals:
        raise InterchangeError(f"The project {project} has no images.")
    archive = DatasetArchive(now=now)
    aside = to.with_name(f".{to.name}-{uuid4().hex}")
    try:
        with progress(console) as bars, aside.open("wb") as file:
            task = bars.add_task("Exporting", total=sum(totals.values()))
            chunks = export_archive(
                _lines(clients.lookoutvision, project, totals, partial(bars.advance, task)),
                format_name=format_name,
                read=partial(_read, clients.s3),
                archive=archive,
                now=now,
            )
            for chunk in chunks:
                file.write(chunk)
        aside.rename(to)
    finally:
        aside.unlink(missing_ok=True)
    for sentence in (*archive.notes.sentences(), *archive.notes.problems):
        console.print(sentence, soft_wrap=True)
    console.print(f"Wrote {to}", soft_wrap=True)


def _totals(client: Any, project: str) -> dict[DatasetType, int]:
    """Return the number of images of each dataset that has some."""
    datasets = client.describe_project(ProjectName=project)["ProjectDescription"]["Datasets"]
    totals = {}
    for dataset in datasets:
        kind = DatasetType(dataset["DatasetType"])
        description = client.describe_dataset(ProjectName=project, DatasetType=str(kind))
        totals[kind] = description["DatasetDescription"].get("ImageStats", {}).get("Total", 0)
    return {kind: total for kind, total in sorted(totals.items(), reverse=True) if total}


def _lines(
    client: Any, project: str, totals: dict[DatasetType, int], advance: Callable[[], None]
) -> Iterator[tuple[DatasetType, str]]:
    for kind in totals:
        pages = client.get_paginator("list_dataset_entries").paginate(
            ProjectName=project, DatasetType=str(kind)
        )
        for page in pages:
            for line in page["DatasetEntries"]:
                yield kind, line
                advance()


def _read(s3: Any, ref: ObjectRef) -> bytes:
    try:
        body = s3.get_object(Bucket=ref.bucket, Key=ref.key)["Body"]
        return bytes(body.read())
    except ClientError as error:
        raise InterchangeError(f"it cannot be read ({error_text(error)})") from None
