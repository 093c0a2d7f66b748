"""A manifest: the panel that makes a data set of it, or adds its lines to one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from nicegui import events, ui

from blemish.console.images.bucket_import import SET_CHOICES, draw_outcome
from blemish.console.images.dataset_changes import (
    change_entries,
    dataset_at_rest,
    make_missing_dataset,
)
from blemish.console.images.entry import DatasetKey, object_address
from blemish.console.language.messages import say, say_all
from blemish.console.language.numbers import number_text
from blemish.console.ui.busy import busy
from blemish.console.ui.frame import heading, labelled, text, visitor
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.domain.errors import (
    AccessDeniedError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)

MANIFEST_BYTES = 64 * 1024 * 1024
"""The largest manifest that is sent by a browser, or merged; the API reads larger ones."""


class ManifestImport:
    """The panel that reads a manifest."""

    def __init__(self, project: str, *, may: bool) -> None:
        self._project = project
        with labelled(ui.element("section").classes("panel"), say("By a manifest")):
            heading(say("By a manifest"), 2)
            text(
                say("JSON Lines as SageMaker Ground Truth writes them: images, labels and masks."),
                classes="quiet",
                tag="p",
            )
            self._address = ui.input(say("Address"), placeholder="s3://bucket/train.manifest")
            self._into = ui.select(
                say_all(SET_CHOICES), value=str(DatasetType.TRAIN), label=say("Into")
            )
            with ui.element("div").classes("line"):
                self._read = ui.button(say("Read it"), on_click=self._at_address).props("outline")
                self._file = ui.upload(
                    auto_upload=True, max_file_size=MANIFEST_BYTES, on_upload=self._sent
                )
                self._file.classes("unseen")  # a hidden one would refuse files
                self._pick = ui.button(say("Choose a file instead"), on_click=self._pick_file)
                self._pick.props("flat")
            self._message = ui.element("div").props("role=status")
        self._address.on("keydown.enter", self._at_address)
        for part in (self._address, self._into, self._read, self._pick, self._file):
            part.set_enabled(may)

    @property
    def _dataset(self) -> DatasetKey:
        return DatasetKey(project=self._project, type=DatasetType(self._into.value))

    def _pick_file(self) -> None:
        self._file.run_method("pickFiles")

    async def _at_address(self) -> None:
        self._message.clear()
        manifest = object_address(self._address.value.strip())
        with busy(self._read):
            await read_manifest(visitor(), self._dataset, manifest)
        self._show_outcome()

    async def _sent(self, event: events.UploadEventArguments) -> None:
        self._message.clear()
        with busy(self._pick):
            lines = _lines(await event.file.read())
            await merge_manifest(visitor(), self._dataset, lines)
        self._file.reset()
        self._show_outcome()

    def _show_outcome(self) -> None:
        with self._message:
            draw_outcome(
                self._project,
                say("The {title} has what the manifest says.", title=self._dataset.title),
            )


async def read_manifest(visitor: Visitor, dataset: DatasetKey, manifest: ObjectRef) -> None:
    """Make a data set of a manifest, or add its lines to the one that there is.

    Raises:
        ServiceError: it was refused; a data set that could not be made is deleted again.
        ObjectError: the manifest cannot be read.
    """
    try:
        await visitor.call("DescribeDataset", **dataset.names)
    except ResourceNotFoundError:
        await _make_from(visitor, dataset, manifest)
        return
    await merge_manifest(visitor, dataset, _lines(await visitor.read_object(manifest)))


async def merge_manifest(visitor: Visitor, dataset: DatasetKey, lines: Sequence[str]) -> None:
    """Add lines of a manifest to a data set, which is made if it is missing.

    Raises:
        ServiceError: it was refused.
    """
    await make_missing_dataset(visitor, dataset)
    await change_entries(visitor, dataset, lines)


async def _make_from(visitor: Visitor, dataset: DatasetKey, manifest: ObjectRef) -> None:
    address = {"Bucket": manifest.bucket, "Key": manifest.key}
    source = {"GroundTruthManifest": {"S3Object": address}}
    await visitor.call("CreateDataset", **dataset.names, DatasetSource=source)
    try:
        await dataset_at_rest(visitor, dataset)
    except ServiceError:
        # or nothing could be tried again: the data set would be there, and of no use
        with suppress(ResourceNotFoundError, AccessDeniedError):
            await visitor.call("DeleteDataset", **dataset.names)
            await dataset_at_rest(visitor, dataset)
        raise


def _lines(data: bytes) -> Sequence[str]:
    if len(data) > MANIFEST_BYTES:
        raise ValidationError(
            say(
                "The manifest has more than {manifest_bytes} bytes.",
                manifest_bytes=number_text(MANIFEST_BYTES),
            )
        )
    try:
        return [line for line in data.decode("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise ValidationError(f"The manifest is not UTF-8 text: byte {error.start}.") from None
