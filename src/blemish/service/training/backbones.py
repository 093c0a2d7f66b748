"""The backbones of a data directory: a folder for each, with the network and its description.

DIR/backbones/NAME/
  NAME.onnx         the network
  backbone.json     architecture, licence, source, checksum
DIR/backbones/.partial/   incomplete files
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from blemish.engine.backbones.catalogue import (
    ALIASES,
    CATALOGUE,
    PACKAGED,
    REMOVED,
    SCATTERING,
    current_name,
    is_packaged,
)
from blemish.engine.backbones.installed_weights import missing_weights, weights_file
from blemish.engine.errors import BackboneError
from blemish.storage.errors import ObjectMissingError
from blemish.storage.files import clear_file_errors, publish_folder, remove_tree
from blemish.storage.shared.folders import SharedFolders

BUILT_IN = "built-in"
"""Name of the default backbone, which depends on what is installed."""

PARTIAL = ".partial"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_INFO = "backbone.json"
_RESERVED = (BUILT_IN, *(entry.name for entry in PACKAGED), *ALIASES, REMOVED)


@dataclass(frozen=True, kw_only=True)
class BackboneInfo:
    """The description of a backbone."""

    name: str
    architecture: str
    licence: str
    #: its source, for people
    source: str
    #: SHA-256 of the imported file
    source_sha256: str
    #: SHA-256 of the network
    sha256: str
    size_bytes: int


class Backbones:
    """The backbones in a folder."""

    def __init__(self, root: Path, *, shared: SharedFolders | None = None) -> None:
        self._root = root
        #: where all servers have them; None if they are in `root`
        self._shared = shared

    @property
    def partial(self) -> Path:
        """The folder of incomplete files."""
        return self._root / PARTIAL

    def names(self) -> list[str]:
        """Return the names of the backbones; those of other servers too.

        Raises:
            ObjectError: the store of the shared ones does not answer.
        """
        if self._shared:
            return sorted(self._shared.names())
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.name != PARTIAL)

    def info(self, name: str) -> BackboneInfo:
        """Return the description of a backbone.

        Raises:
            BackboneError: it does not exist, or its description cannot be read.
        """
        try:
            path = self._path(name, _INFO)
            return BackboneInfo(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ObjectMissingError):
            raise BackboneError(self._missing(name)) from None
        except (OSError, ValueError, TypeError) as error:
            raise BackboneError(f"{path} cannot be read: {error}. {_anew(name)}") from error

    def file(self, name: str) -> Path:
        """Return the path of a network after checking its checksum.

        Raises:
            BackboneError: it does not exist, or is damaged.
        """
        info = self.info(name)
        path = self._path(name, f"{name}.onnx")
        _check_whole(path, info.sha256, remedy=_anew(name))
        return path

    def _path(self, name: str, file: str) -> Path:
        return self._shared.path(name, file) if self._shared else self._root / name / file

    def add(self, info: BackboneInfo, model: bytes) -> None:
        """Add a backbone atomically; a damaged one is replaced.

        Raises:
            BackboneError: the name is not allowed, or taken.
            StoreWriteError: it cannot be written.
        """
        self.check_free(info.name)
        folder = self.partial / uuid.uuid4().hex
        with clear_file_errors(folder):
            folder.mkdir(mode=0o700, parents=True)
            (folder / f"{info.name}.onnx").write_bytes(model)
            (folder / _INFO).write_text(json.dumps(asdict(info), indent=2) + "\n")
        if self._shared:
            self._shared.remove(info.name)
            self._shared.publish(folder, info.name)
            remove_tree(folder, staging=self.partial)
        else:
            remove_tree(self._root / info.name, staging=self.partial)
            publish_folder(folder, self._root / info.name)

    def check_free(self, name: str) -> None:
        """Check that a backbone of this name can be added.

        Raises:
            BackboneError: the name is not allowed, or taken by an intact backbone.
        """
        if not _NAME.fullmatch(name) or name.endswith(".onnx") or name in _RESERVED:
            raise BackboneError(
                f"{name!r} is no name for a backbone: it has 1 to 64 letters, digits, dots, "
                f"hyphens and underscores, begins with a letter or a digit, does not end in "
                f".onnx, and is none of {', '.join(_RESERVED)}."
            )
        try:
            self.file(name)
        except BackboneError:
            return
        raise BackboneError(f"There is a backbone {name} already: {self._root / name}.")

    def _missing(self, name: str) -> str:
        names = ", ".join(self.names()) or "none"
        known = "" if name in CATALOGUE else f" Those known are {', '.join(CATALOGUE)}."
        return (
            f"There is no backbone {name} in {self._root}; there is {names}. {_anew(name)}{known}"
        )


class ProjectBackbones:
    """The backbones of the projects, by the settings."""

    def __init__(
        self, backbones: Backbones, *, default: str | None, by_project: Mapping[str, str]
    ) -> None:
        self._backbones = backbones
        self._default = default
        self._by_project = by_project

    def source(self, project: str) -> Path | str | None:
        """Return the file of a project's backbone, or its name; None for the default one.

        Raises:
            BackboneError: there is none, or it is damaged.
        """
        return self._source(self._by_project.get(project, self._default))

    @property
    def without_weights(self) -> bool:
        """Tell whether a project has the default backbone, and only the scattering is installed."""
        sources = [self._default, *self._by_project.values()]
        return weights_file() is None and any(source in {None, BUILT_IN} for source in sources)

    def check(self) -> None:
        """Check that all backbones in the settings exist.

        Raises:
            BackboneError: one is missing or damaged; the message names the setting.
        """
        settings = [("BLEMISH_BACKBONE", self._default)]
        settings += [
            (f"BLEMISH_PROJECT_BACKBONES, {project}", value)
            for project, value in self._by_project.items()
        ]
        for setting, value in settings:
            try:
                self._source(value)
            except BackboneError as error:
                raise BackboneError(f"{setting}={value}: {error}") from error

    def _source(self, value: str | None) -> Path | str | None:
        if value is None or value == BUILT_IN:
            return None
        if is_packaged(value):
            if current_name(value) != SCATTERING and weights_file() is None:
                raise BackboneError(missing_weights(value))
            return current_name(value)
        if value == REMOVED:
            raise BackboneError(
                f"The backbone {REMOVED} is no longer part of Blemish. Set {BUILT_IN}, or the name "
                "of a backbone that `blemish backbone list` shows. Models that were trained with "
                f"{REMOVED} still work."
            )
        if _NAME.fullmatch(value) and not value.endswith(".onnx"):
            return self._backbones.file(value)
        path = Path(value).absolute()
        if not path.is_file():
            raise BackboneError(f"There is no file {path}.")
        return path


def _check_whole(path: Path, sha256: str, *, remedy: str) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackboneError(f"{path} cannot be read ({error.strerror}). {remedy}") from error
    if digest != sha256:
        raise BackboneError(f"{path} is damaged: its SHA-256 is {digest}, not {sha256}. {remedy}")


def _anew(name: str) -> str:
    if name in CATALOGUE:
        return f"`blemish backbone pull {name}` fetches it."
    return "`blemish backbone pull NAME` and `blemish backbone import FILE` add one."
