"""Adding images that are in a bucket to the data sets of a project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from blemish.console.images.dataset_changes import change_entries, make_missing_dataset
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, entry_line
from blemish.console.images.folder_labels import ImportCandidate, split_new
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType


async def add_entries(
    visitor: Visitor, project: str, candidates: Sequence[ImportCandidate]
) -> Sequence[tuple[str, str]]:
    """Add images to the data sets of a project, which are made where they are missing.

    Returns:
        The paths of those that the project has already, each with the reason.

    Raises:
        SignedOutError: the session is over.
        ServiceError: it was refused.
    """
    keys = {kind: DatasetKey(project=project, type=kind) for kind in DatasetType}
    existing = {
        kind: {entry.ref for entry in await all_entries(visitor, key)} for kind, key in keys.items()
    }
    new, known = split_new(candidates, existing)
    lines: defaultdict[DatasetType, list[str]] = defaultdict(list)
    now = visitor.services.clock()
    for candidate in new:
        lines[candidate.kind].append(entry_line(candidate.ref, label=candidate.label, now=now))
    for kind, added in lines.items():
        await make_missing_dataset(visitor, keys[kind])
        await change_entries(visitor, keys[kind], added)
    return known
