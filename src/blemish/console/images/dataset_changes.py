"""Entries of a data set added, changed and removed, as calls of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from blemish.console.images.dataset_entries import remember_changes
from blemish.console.images.entry import DatasetKey
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetStatus
from blemish.domain.errors import ConflictError, ResourceNotFoundError, ValidationError
from blemish.domain.lifecycle import DATASET_FAILED, DATASET_IN_PROGRESS
from blemish.service.datasets.datasets import APPLIED

CHANGE_BYTES = 8 * 1024 * 1024
"""JSON Lines in one change; the API takes 10 MiB."""

FEW_BYTES = 256 * 1024
"""JSON Lines that are applied before the API answers; more of them take longer than people wait."""

REMOVAL_ENTRIES = 1_000
"""Addresses in one removal, as many as the API takes."""

POLL_S = 0.05
"""Between two looks at a data set that is being changed; longer after each, up to a second."""


async def change_entries(visitor: Visitor, dataset: DatasetKey, lines: Iterable[str]) -> None:
    """Add or replace entries by JSON Lines, and wait until that is done.

    Raises:
        SignedOutError: the session is over.
        ServiceError: it was refused, or undone; what was applied before the failure stays.
    """
    for batch in batches(lines):
        if len(batch) <= FEW_BYTES:
            await _apply_now(visitor, dataset, batch)
        else:
            await _apply(visitor, "UpdateDatasetEntries", dataset, Changes=batch)


async def remove_entries(visitor: Visitor, dataset: DatasetKey, refs: Sequence[str]) -> None:
    """Remove the entries of images, and wait until that is done; the images stay.

    Raises:
        SignedOutError, ServiceError: as `change_entries`.
    """
    for start in range(0, len(refs), REMOVAL_ENTRIES):
        batch = list(refs[start : start + REMOVAL_ENTRIES])
        await _apply(visitor, "DeleteDatasetEntries", dataset, SourceRefs=batch)


async def dataset_at_rest(visitor: Visitor, dataset: DatasetKey) -> DatasetStatus:
    """Wait until nobody works on a data set; return its status.

    Raises:
        ValidationError: the work on it failed; the message says why.
    """
    pause_s = POLL_S
    while True:
        description = await _description(visitor, dataset)
        status = DatasetStatus(description["Status"])
        if status in DATASET_FAILED:
            raise ValidationError(description["StatusMessage"])
        if status not in DATASET_IN_PROGRESS:
            return status
        await asyncio.sleep(pause_s)
        pause_s = min(1.0, 2 * pause_s)


async def make_missing_dataset(visitor: Visitor, dataset: DatasetKey) -> None:
    """Make an empty data set unless the project has it."""
    try:
        await _description(visitor, dataset)
    except ResourceNotFoundError:
        await visitor.call("CreateDataset", **dataset.names)


def batches(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield JSON Lines as changes of a size that the API takes."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode() + b"\n"
        if batch and size + len(data) > CHANGE_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    if batch:
        yield b"".join(batch)


async def _apply_now(visitor: Visitor, dataset: DatasetKey, batch: bytes) -> None:
    """Add or replace a few entries by one call, and remember them as they are then."""
    while True:
        try:
            answer = await visitor.call_and_wait(
                "UpdateDatasetEntries", **dataset.names, Changes=batch
            )
        except ConflictError:
            if await _free(visitor, dataset):  # nobody was in between: it is refused
                raise
            continue
        await in_thread(remember_changes, visitor, answer[APPLIED])
        return


async def _apply(visitor: Visitor, operation: str, dataset: DatasetKey, **members: object) -> None:
    while True:
        await _free(visitor, dataset)
        try:
            await visitor.call(operation, **dataset.names, **members)
        except ConflictError:
            if await _free(visitor, dataset):  # nobody was in between: it is refused
                raise
            continue
        await dataset_at_rest(visitor, dataset)
        return


async def _free(visitor: Visitor, dataset: DatasetKey) -> bool:
    """Wait while others change a data set; tell whether none had to be waited for."""
    free = True
    while (await _description(visitor, dataset))["Status"] in DATASET_IN_PROGRESS:
        free = False
        await asyncio.sleep(POLL_S)
    return free


async def _description(visitor: Visitor, dataset: DatasetKey) -> Any:
    return (await visitor.call("DescribeDataset", **dataset.names))["DatasetDescription"]
