"""Images that are in a bucket already: the panel that adds all below an address."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from nicegui import ui

from blemish.console.images.add_entries import add_entries
from blemish.console.images.entry import SET_NAMES
from blemish.console.images.folder_labels import (
    ImportCandidate,
    is_image_name,
    kind_of,
)
from blemish.console.language.messages import counted, later, say, say_all
from blemish.console.language.numbers import number_text
from blemish.console.paths import project_path
from blemish.console.ui.busy import busy
from blemish.console.ui.frame import heading, labelled, link, text, visitor
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError
from blemish.engine.images.formats import SUFFIXES
from blemish.interchange.label_names import label_in_path

BY_FOLDERS = "folders"

SET_CHOICES = {
    str(DatasetType.TRAIN): later("Training set"),
    str(DatasetType.TEST): later("Test set"),
}
"""Data set -> what people read in a list of them."""

_FOLDER = re.compile(r"\s*s3://([^/\s]+)(?:/(.*?))?\s*")


class BucketImport:
    """The panel that adds the images below an address."""

    def __init__(self, project: str, *, may: bool) -> None:
        self._project = project
        self._candidates: Sequence[ImportCandidate] = ()
        with labelled(ui.element("section").classes("panel"), say("From a bucket")):
            heading(say("From a bucket"), 2)
            text(say("Images stay where they are."), classes="quiet", tag="p")
            self._address = ui.input(say("Address"), placeholder="s3://bucket/folder/")
            into = {**say_all(SET_CHOICES), BY_FOLDERS: say("By folders named train and test")}
            self._into = ui.select(into, value=str(DatasetType.TRAIN), label=say("Into"))
            self._labels = ui.checkbox(
                say("Folder names such as good and ng are labels"), value=True
            )
            with ui.element("div").classes("line"):
                self._look = ui.button(say("Look what is there"), on_click=self._show).props(
                    "outline"
                )
                self._add = ui.button(say("Add"), on_click=self._add_all)
                self._add.set_visibility(False)
            self._message = ui.element("div").props("role=status")
        self._address.on("keydown.enter", self._show)
        for field in (self._address, self._into, self._labels):
            field.set_enabled(may)
            field.on_value_change(self._forget)
        self._look.set_enabled(may)

    def _forget(self) -> None:
        self._add.set_visibility(False)
        self._message.clear()

    async def _show(self) -> None:
        self._forget()
        with busy(self._look):
            self._candidates, others = await images_below(
                visitor(),
                self._address.value,
                into=self._into.value,
                labels=self._labels.value,
            )
        with self._message:
            text(import_summary(self._candidates, others=others), tag="p")
        self._add.set_text(
            say(
                "Add {number}",
                number=counted(len(self._candidates), "{count} image", "{count} images"),
            )
        )
        self._add.set_visibility(bool(self._candidates))

    async def _add_all(self) -> None:
        with busy(self._add):
            known = await add_entries(visitor(), self._project, self._candidates)
        added = len(self._candidates) - len(known)
        self._forget()
        with self._message:
            already = (
                say(" {known} were there already.", known=number_text(len(known))) if known else ""
            )
            draw_outcome(
                self._project,
                say(
                    "{number} added.{already}",
                    number=counted(added, "{count} image", "{count} images"),
                    already=already,
                ),
            )


def draw_outcome(project: str, message: str) -> None:
    """Draw what an import did, with the way to the images."""
    with ui.element("div").classes("line"):
        text(message)
        link(say("Show the images"), project_path(project, "/images"))


async def images_below(
    visitor: Visitor, address: str, *, into: str, labels: bool
) -> tuple[Sequence[ImportCandidate], int]:
    """Return the images below an address, and how many other objects are there.

    Raises:
        ValidationError: it is no address, or there are more images than a data set may have.
        AccessDeniedError: the policies do not let the visitor list the bucket.
        ObjectError: the bucket cannot be listed.
    """
    return await in_thread(_images_below, visitor, address, into, labels)


def import_summary(candidates: Sequence[ImportCandidate], *, others: int) -> str:
    """Say what is below an address."""
    left_out = (
        say(
            " {number} left out.",
            number=counted(others, "{count} other object", "{count} other objects"),
        )
        if others
        else ""
    )
    if not candidates:
        return say(
            "There are no images ({join}).{left_out}", join=", ".join(SUFFIXES), left_out=left_out
        )
    labels = Counter(candidate.label or say("without a label") for candidate in candidates)
    kinds = Counter(candidate.kind for candidate in candidates)
    label_counts = ", ".join(f"{count:,} {name}" for name, count in sorted(labels.items()))
    set_counts = ", ".join(
        say("{number} for the {set}", number=number_text(count), set=say(SET_NAMES[kind]))
        for kind, count in kinds.items()
    )
    images = counted(len(candidates), "{count} image", "{count} images")
    return f"{images}: {label_counts}; {set_counts}.{left_out}"


def folder_of(address: str) -> tuple[str, str]:
    """Return the bucket and the folder that `s3://bucket/folder/` names.

    Raises:
        ValidationError: it names none.
    """
    match = _FOLDER.fullmatch(address)
    if match is None:
        raise ValidationError(
            say(
                "{address} is no address such as s3://bucket/folder/.",
                address=repr(f"{address:.300}"),
            )
        )
    folder = (match[2] or "").rstrip("/")
    return match[1], f"{folder}/" if folder else ""


def _images_below(
    visitor: Visitor, address: str, into: str, labels: bool
) -> tuple[Sequence[ImportCandidate], int]:
    bucket, prefix = folder_of(address)
    visitor.authorize_blocking("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    limit = visitor.services.limits.max_training_images
    keys, others = list[str](), 0
    for stored in visitor.services.objects.list(bucket, prefix):
        if is_image_name(stored.key):
            keys.append(stored.key)
        else:
            others += 1
        if len(keys) > limit:
            raise ValidationError(
                say(
                    "There are more than {limit} images below {address}.",
                    limit=number_text(limit),
                    address=address,
                )
            )
    return [_candidate(bucket, key, into, labels) for key in sorted(keys)], others


def _candidate(bucket: str, key: str, into: str, labels: bool) -> ImportCandidate:
    kind = kind_of(key, otherwise=DatasetType.TRAIN) if into == BY_FOLDERS else DatasetType(into)
    label = label_in_path(key) if labels else None
    return ImportCandidate(path=key, ref=f"s3://{bucket}/{key}", kind=kind, label=label)
