"""Images that are in a bucket already: by where they lie, or by a manifest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from nicegui import events, ui

from blemish.console.images import dataset_entries as entries
from blemish.console.images.folder_labels import SPOKEN, Piece, is_image_name, kind_of, label_of
from blemish.console.images.upload_requests import bring_in
from blemish.console.ui.frame import heading, link, project_path, text, visitor
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.domain.errors import (
    AccessDeniedError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)

MANIFEST_BYTES = 64 * 1024 * 1024
"""Of a manifest that is sent from a browser, or merged; the API makes a data set of larger ones."""

BY_FOLDERS = "folders"

_PLACE = re.compile(r"\s*s3://([^/\s]+)(?:/(.*?))?\s*")

_KINDS = {str(kind): f"{name.capitalize()} set" for kind, name in SPOKEN.items()}


class FromBucket:
    """The panel that adds what lies below an address."""

    def __init__(self, project: str, *, may: bool) -> None:
        self._project = project
        self._pieces: Sequence[Piece] = ()
        with ui.element("section").classes("panel").props('aria-label="From a bucket"'):
            heading("From a bucket", 2)
            text("Images stay where they are.", classes="quiet", tag="p")
            self._address = ui.input("Address", placeholder="s3://bucket/folder/")
            into = {**_KINDS, BY_FOLDERS: "By folders named train and test"}
            self._into = ui.select(into, value=str(DatasetType.TRAIN), label="Into")
            self._labels = ui.checkbox("Folders named normal and anomaly are labels", value=True)
            with ui.element("div").classes("line"):
                self._look = ui.button("Look what is there", on_click=self._show).props("outline")
                self._add = ui.button("Add", on_click=self._bring)
                self._add.set_visibility(False)
            self._told = ui.element("div").props("role=status")
        self._address.on("keydown.enter", self._show)
        for field in (self._address, self._into, self._labels):
            field.set_enabled(may)
            field.on_value_change(self._forget)
        self._look.set_enabled(may)

    def _forget(self) -> None:
        self._add.set_visibility(False)
        self._told.clear()

    async def _show(self) -> None:
        self._forget()
        with _working(self._look):
            self._pieces, others = await below(
                visitor(),
                self._address.value,
                into=self._into.value,
                labels=self._labels.value,
            )
        with self._told:
            text(summary(self._pieces, others=others), tag="p")
        self._add.set_text(f"Add {_counted(len(self._pieces), 'image')}")
        self._add.set_visibility(bool(self._pieces))

    async def _bring(self) -> None:
        with _working(self._add):
            known = await bring_in(visitor(), self._project, self._pieces)
        added = len(self._pieces) - len(known)
        self._forget()
        with self._told:
            already = f" {len(known):,} were there already." if known else ""
            _done(self._project, f"{_counted(added, 'image')} added.{already}")


class FromManifest:
    """The panel that reads a manifest."""

    def __init__(self, project: str, *, may: bool) -> None:
        self._project = project
        with ui.element("section").classes("panel").props('aria-label="By a manifest"'):
            heading("By a manifest", 2)
            text(
                "JSON Lines as SageMaker Ground Truth writes them: images, labels and masks.",
                classes="quiet",
                tag="p",
            )
            self._address = ui.input("Address", placeholder="s3://bucket/train.manifest")
            self._into = ui.select(_KINDS, value=str(DatasetType.TRAIN), label="Into")
            with ui.element("div").classes("line"):
                self._read = ui.button("Read it", on_click=self._at_address).props("outline")
                self._file = ui.upload(
                    auto_upload=True, max_file_size=MANIFEST_BYTES, on_upload=self._sent
                )
                self._file.classes("unseen")  # a hidden one would refuse files
                self._choose = ui.button("Choose a file instead", on_click=self._pick)
                self._choose.props("flat")
            self._told = ui.element("div").props("role=status")
        self._address.on("keydown.enter", self._at_address)
        for part in (self._address, self._into, self._read, self._choose, self._file):
            part.set_enabled(may)

    def _pick(self) -> None:
        self._file.run_method("pickFiles")

    async def _at_address(self) -> None:
        self._told.clear()
        ref = entries.object_of(self._address.value.strip())
        with _working(self._read):
            await read_manifest(visitor(), self._project, self._into.value, ref)
        self._tell()

    async def _sent(self, event: events.UploadEventArguments) -> None:
        self._told.clear()
        with _working(self._choose):
            lines = _lines(await event.file.read())
            await merge(visitor(), self._project, self._into.value, lines)
        self._file.reset()
        self._tell()

    def _tell(self) -> None:
        with self._told:
            spoken = SPOKEN[DatasetType(self._into.value)]
            _done(self._project, f"The {spoken} set has what the manifest says.")


async def below(
    who: Visitor, address: str, *, into: str, labels: bool
) -> tuple[Sequence[Piece], int]:
    """Return the images below an address, and how many other objects are there.

    Raises:
        ValidationError: it is no address, or there are more images than a data set may have.
        AccessDeniedError: the policies do not let the visitor list the bucket.
        ObjectError: the bucket cannot be listed.
    """
    return await in_thread(_below, who, address, into, labels)


async def read_manifest(who: Visitor, project: str, kind: str, ref: ObjectRef) -> None:
    """Make a data set of a manifest, or add its lines to the one that there is.

    Raises:
        ServiceError: it was refused; a data set that could not be made is gone.
        ObjectError: the manifest cannot be read.
    """
    try:
        await who.call("DescribeDataset", ProjectName=project, DatasetType=kind)
    except ResourceNotFoundError:
        await _make_from(who, project, kind, ref)
        return
    await merge(who, project, kind, _lines(await who.read_object(ref)))


async def merge(who: Visitor, project: str, kind: str, lines: Sequence[str]) -> None:
    """Add lines of a manifest to a data set, which is made if it is missing.

    Raises:
        ServiceError: it was refused.
    """
    try:
        await who.call("DescribeDataset", ProjectName=project, DatasetType=kind)
    except ResourceNotFoundError:
        await who.call("CreateDataset", ProjectName=project, DatasetType=kind)
    await entries.change(who, project, kind, lines)


def summary(pieces: Sequence[Piece], *, others: int) -> str:
    """Say what was found below an address."""
    left_out = f" {_counted(others, 'other object')} left out." if others else ""
    if not pieces:
        return f"There are no images (.jpg, .jpeg, .png).{left_out}"
    counts = Counter("without a label" if each.label is None else each.label for each in pieces)
    kinds = Counter(each.kind for each in pieces)
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    places = ", ".join(f"{count:,} for the {SPOKEN[kind]} set" for kind, count in kinds.items())
    return f"{_counted(len(pieces), 'image')}: {told}; {places}.{left_out}"


async def _make_from(who: Visitor, project: str, kind: str, ref: ObjectRef) -> None:
    place = {"Bucket": ref.bucket, "Key": ref.key}
    source = {"GroundTruthManifest": {"S3Object": place}}
    await who.call("CreateDataset", ProjectName=project, DatasetType=kind, DatasetSource=source)
    try:
        await entries.settled(who, project, kind)
    except ServiceError:
        # or nothing could be tried again: the data set would be there, and of no use
        with suppress(ResourceNotFoundError, AccessDeniedError):
            await who.call("DeleteDataset", ProjectName=project, DatasetType=kind)
            await entries.settled(who, project, kind)
        raise


def _below(who: Visitor, address: str, into: str, labels: bool) -> tuple[Sequence[Piece], int]:
    bucket, prefix = place_of(address)
    who.authorize_here("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    most = who.services.limits.max_training_images
    keys, others = list[str](), 0
    for each in who.services.objects.list(bucket, prefix):
        if is_image_name(each.key):
            keys.append(each.key)
        else:
            others += 1
        if len(keys) > most:
            raise ValidationError(f"There are more than {most:,} images below {address}.")
    return [_piece(bucket, key, into, labels) for key in sorted(keys)], others


def place_of(address: str) -> tuple[str, str]:
    """Return the bucket and the folder that `s3://bucket/folder/` names.

    Raises:
        ValidationError: it names none.
    """
    found = _PLACE.fullmatch(address)
    if found is None:
        raise ValidationError(f"{address!r:.300} is no address such as s3://bucket/folder/.")
    folder = (found[2] or "").rstrip("/")
    return found[1], f"{folder}/" if folder else ""


def _piece(bucket: str, key: str, into: str, labels: bool) -> Piece:
    kind = kind_of(key, otherwise=DatasetType.TRAIN) if into == BY_FOLDERS else DatasetType(into)
    return Piece(
        path=key, ref=f"s3://{bucket}/{key}", kind=kind, label=label_of(key) if labels else None
    )


def _lines(data: bytes) -> Sequence[str]:
    if len(data) > MANIFEST_BYTES:
        raise ValidationError(f"The manifest has more than {MANIFEST_BYTES:,} bytes.")
    try:
        return [line for line in data.decode("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise ValidationError(f"The manifest is not UTF-8 text: byte {error.start}.") from None


@contextmanager
def _working(button: ui.button) -> Iterator[None]:
    """Show that something takes its time, and let nobody start it twice."""
    button.props("loading").disable()
    try:
        yield
    finally:
        button.props(remove="loading").enable()


def _done(project: str, told: str) -> None:
    with ui.element("div").classes("line"):
        text(told)
        link("Show the images", project_path(project, "/images"))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
