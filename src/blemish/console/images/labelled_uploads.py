"""Folders and ZIP archives with the labels of other tools, while the page Add images sends them.

The files lie in the staging folder under numbers, so no path of a browser becomes a path here. They
are gone after the import, after a restart, or when others are sent.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from blemish.console.language.messages import say
from blemish.console.language.numbers import number_text
from blemish.domain.errors import ValidationError
from blemish.storage.files import remove_tree

if TYPE_CHECKING:  # a server reads labels long after its start
    from blemish.interchange.drafts import DraftEntry

MAX_UPLOADS = 4
"""At the same time; a new one ends the oldest."""

MAX_FILES = 400_000
"""Of one upload: images, masks and a file of labels for each."""


@dataclass(kw_only=True)
class LabelledUpload:
    """What somebody sends, and what was read of it."""

    folder: Path
    #: token of the session
    owner: str
    project: str
    #: path in the browser -> file
    files: dict[str, Path] = field(default_factory=dict)
    entries: Sequence[DraftEntry] = ()


class LabelledUploads:
    """The uploads of a server, for any thread."""

    def __init__(self) -> None:
        self._uploads: OrderedDict[str, LabelledUpload] = OrderedDict()
        self._lock = Lock()

    def begin(self, staging: Path, *, owner: str, project: str) -> str:
        """Begin an upload; return its name, which nobody guesses."""
        name = secrets.token_urlsafe(12)
        folder = staging / f"labelled-{name}"
        (folder / "masks").mkdir(parents=True)
        with self._lock:
            self._uploads[name] = LabelledUpload(folder=folder, owner=owner, project=project)
            surplus = range(len(self._uploads) - MAX_UPLOADS)
            forgotten = [self._uploads.popitem(last=False)[1] for _ in surplus]
        for upload in forgotten:
            remove_tree(upload.folder, staging=staging)
        return name

    def upload(self, name: str, *, owner: str, project: str) -> LabelledUpload:
        """Return an upload of this owner to this project.

        Raises:
            ValidationError: there is none of this name.
        """
        with self._lock:
            upload = self._uploads.get(name)
        if upload is None or (upload.owner, upload.project) != (owner, project):
            raise ValidationError(say("This upload is over. Choose the folder again."))
        return upload

    def new_file(self, upload: LabelledUpload, path: str) -> Path:
        """Return the file for a path of the browser.

        Raises:
            ValidationError: there are too many files.
        """
        with self._lock:
            if len(upload.files) >= MAX_FILES:
                raise ValidationError(
                    say(
                        "An upload can have {max_files} files at most.",
                        max_files=number_text(MAX_FILES),
                    )
                )
            return upload.files.setdefault(path, upload.folder / str(len(upload.files)))

    def end(self, name: str, staging: Path) -> None:
        """Forget an upload, and delete its files."""
        with self._lock:
            upload = self._uploads.pop(name, None)
        if upload is not None:
            remove_tree(upload.folder, staging=staging)
