"""Checks of JSON Lines before they become entries of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from blemish.domain.access.object_rights import READ, ObjectRights
from blemish.domain.entities import (
    Dataset,
    DatasetEntry,
    DatasetStatus,
    DatasetType,
    ImageStats,
    Label,
    ObjectRef,
)
from blemish.domain.errors import ValidationError
from blemish.domain.file_managers import is_file_manager_file
from blemish.domain.limits import Limits
from blemish.domain.line_notes import note_sentences
from blemish.domain.manifest import LineProblem, parse_manifest
from blemish.service.datasets.entry_spool import EntrySpool, SpooledEntries, SpooledEntry
from blemish.service.objects import Objects
from blemish.storage.errors import EncryptionError, ObjectError, is_passing
from blemish.storage.rows.all_rows import Rows

SHOWN_PROBLEMS = 5
"""Problems that a message names."""

COUNTED_PROBLEMS = 10_000
"""A file with more problems is no manifest. Blemish stops reading it."""


class ImportFailedError(Exception):
    """The lines cannot become entries; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class CheckedLines:
    """The entries of lines without problems."""

    #: in the order of the lines, one for each image
    entries: Sequence[DatasetEntry]
    #: keys of the files of file managers that the lines name
    junk: Sequence[str]
    #: keys of images that the lines label both as normal and as anomaly
    contradicted: Sequence[str]


class LineChecks:
    """Checks lines against the limits, and against the store that holds their images."""

    def __init__(self, *, objects: Objects, limits: Limits) -> None:
        self._objects = objects
        self._limits = limits

    def check(
        self, lines: Iterable[str], *, dataset: Dataset, rights: ObjectRights | None
    ) -> CheckedLines:
        """Parse lines for a dataset, and look for their images and masks.

        Lines that name files of file managers are skipped. Whether an object exists is found out
        only for those who may read it; `rights` of None may read everything.

        Raises:
            ImportFailedError: a line has a problem; or there are too many images.
            StoreUnavailableError: the store does not answer; a later attempt may succeed.
        """
        problems: list[LineProblem] = []
        junk: list[str] = []
        contradicted: dict[str, None] = {}
        try:
            spool, most = EntrySpool(), self._most_images(dataset)
            spooled = spooled_entries(
                lines, spool, problems, most=most, junk=junk, contradicted=contradicted
            )
            problems += _misplaced(spooled, bucket=dataset.image_bucket)
            if not problems and rights is not None:
                problems += _forbidden(spooled, rights)
            if not problems:
                problems += self._missing(spooled)
        except (ObjectError, EncryptionError) as error:
            if is_passing(error):
                raise
            raise ImportFailedError(str(error)) from error
        if problems:
            problems.sort(key=lambda problem: problem.number)
            raise ImportFailedError(problem_sentence([str(problem) for problem in problems]))
        self._check_count(len(spooled), dataset=dataset)
        entries = SpooledEntries(spool, spooled)
        return CheckedLines(entries=entries, junk=junk, contradicted=list(contradicted))

    def check_limits(self, rows: Rows, dataset: Dataset, *, junk: Sequence[str]) -> ImageStats:
        """Check a dataset whose entries are written, within the transaction that wrote them.

        The limit on anomaly types is the project's, so those of its other dataset count too.

        Args:
            rows: of the transaction.
            dataset: to check.
            junk: keys of the files of file managers, whose lines became no entry.

        Returns:
            The numbers of the dataset.

        Raises:
            ImportFailedError: there is no image, or there is more than a limit allows.
        """
        stats = rows.entries.stats(dataset.id)
        images = stats.total
        if not images:
            reason = f": {junk_text(junk)}" if junk else ""
            raise ImportFailedError(f"the manifest has no line of an image{reason}.")
        self._check_count(images, dataset=dataset)
        types = rows.entries.anomaly_types(dataset.id)
        if not types:
            return stats
        project_types = types | _types_of_other(rows, dataset)
        if len(project_types) > self._limits.max_anomaly_types:
            raise ImportFailedError(
                f"the project would have {len(project_types)} anomaly types; "
                f"at most {self._limits.max_anomaly_types} are allowed."
            )
        train = dataset.type is DatasetType.TRAIN
        most_masked = (
            self._limits.max_masked_training_images
            if train
            else self._limits.max_masked_test_images
        )
        if images > most_masked:
            raise ImportFailedError(
                f"it would have masks and {images} images; "
                f"with masks at most {most_masked} are allowed."
            )
        return stats

    def _most_images(self, dataset: Dataset) -> int:
        train = dataset.type is DatasetType.TRAIN
        return self._limits.max_training_images if train else self._limits.max_test_images

    def _check_count(self, images: int, *, dataset: Dataset) -> None:
        most = self._most_images(dataset)
        if images > most:
            raise ImportFailedError(f"it would have more than {most} images, the most allowed.")

    def _missing(self, spooled: Sequence[SpooledEntry]) -> list[LineProblem]:
        """Return a problem for each image and mask that does not exist."""
        refs = {ref for entry in spooled for ref in entry.refs}
        existing = self._objects.existing(refs)
        return [
            LineProblem(number=entry.number, text=f"{ref} does not exist")
            for entry in spooled
            for ref in entry.refs
            if ref not in existing
        ]


def decoded_lines(changes: bytes) -> list[str]:
    """Return JSON Lines as text.

    Raises:
        ValidationError: they are no text, or there are none.
    """
    try:
        text = changes.decode()
    except UnicodeDecodeError as error:
        raise ValidationError(
            f"Changes must be JSON Lines in UTF-8; byte {error.start} is not."
        ) from None
    if not text.strip():
        raise ValidationError("Changes must hold at least one JSON Line.")
    return text.split("\n")


def spooled_entries(
    lines: Iterable[str],
    spool: EntrySpool,
    problems: list[LineProblem],
    *,
    most: int,
    junk: list[str],
    contradicted: dict[str, None] | None = None,
) -> list[SpooledEntry]:
    """Parse lines until there is one image too many, or there are too many problems.

    Args:
        lines: of a manifest.
        spool: stores the entries.
        problems: gets the problems of the lines.
        most: images that are allowed.
        junk: gets the keys of file managers' files, whose lines are skipped.
        contradicted: gets the keys of images that two lines label differently.

    Returns:
        The entry of the last line of each image.
    """
    parsed: dict[ObjectRef, SpooledEntry] = {}
    labels: dict[ObjectRef, Label] = {}
    tolerable = takewhile(lambda _: len(problems) < COUNTED_PROBLEMS, lines)
    for number, entry in parse_manifest(tolerable, problems):
        if is_file_manager_file(entry.image.key):
            junk.append(entry.image.key)
            continue
        label = entry.label
        if label and contradicted is not None and labels.setdefault(entry.image, label) != label:
            contradicted[entry.image.key] = None
        parsed[entry.image] = spool.add(number, entry)
        if len(parsed) > most:
            break
    return list(parsed.values())


def problem_sentence(problems: Sequence[str]) -> str:
    """Name the first problems, and count the rest."""
    shown = "; ".join(problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    if more <= 0:
        return f"{shown}."
    return f"{shown}; and {more} more problem{'s' if more > 1 else ''}."


def with_notes(
    message: str, rows: Rows, dataset: Dataset, *, checked: CheckedLines | None = None
) -> str:
    """Add to a status message how many lines of a dataset say what is not used."""
    sentences = [message, *note_sentences(rows.entries.notes(dataset.id))]
    if checked and checked.contradicted:
        key = checked.contradicted[0]
        count = len(checked.contradicted)
        images = "1 image has" if count == 1 else f"{count} images have"
        sentences.append(
            f"{images} lines that contradict each other, normal and anomaly, such as {key}: "
            "the last line counts."
        )
    if checked and checked.junk:
        sentences.append(f"{junk_text(checked.junk)}.")
    return " ".join(sentences)


def junk_text(junk: Sequence[str]) -> str:
    """Say how many lines name files of file managers, without a full stop."""
    name = junk[0].rpartition("/")[2]
    count = "1 line names a file" if len(junk) == 1 else f"{len(junk)} lines name files"
    return f"{count} of a file manager, such as {name}, and became no entry"


def ignored_entry_notes(rows: Rows, datasets: Iterable[Dataset]) -> list[str]:
    """Return sentences that count, for each dataset, what its lines say and what is not used."""
    return [
        f"In the {dataset.type} dataset, {sentence}"
        for dataset in datasets
        for sentence in note_sentences(rows.entries.notes(dataset.id))
    ]


def _misplaced(spooled: Sequence[SpooledEntry], *, bucket: str | None) -> list[LineProblem]:
    """Return a problem for each image and mask outside the one bucket of the dataset."""
    home = bucket or (spooled[0].refs[0].bucket if spooled else "")
    return [
        LineProblem(number=entry.number, text=f"{ref} is not in the bucket {home} of the dataset")
        for entry in spooled
        for ref in entry.refs
        if ref.bucket != home
    ]


def _forbidden(spooled: Sequence[SpooledEntry], rights: ObjectRights) -> list[LineProblem]:
    """Return a problem for each image and mask that the caller may not read."""
    numbers = {ref: entry.number for entry in spooled for ref in entry.refs}
    return [
        LineProblem(number=numbers[ref], text=f"{ref} may not be read: {reason}")
        for ref, reason in islice(rights.denials(READ, numbers), COUNTED_PROBLEMS)
    ]


def _types_of_other(rows: Rows, dataset: Dataset) -> frozenset[str]:
    """Return the anomaly types of the other dataset of the project, unless it is being deleted."""
    (kind,) = set(DatasetType) - {dataset.type}
    other = rows.datasets.find(dataset.project, kind)
    if other is None or other.status is DatasetStatus.DELETE_IN_PROGRESS:
        return frozenset()
    return rows.entries.anomaly_types(other.id)
