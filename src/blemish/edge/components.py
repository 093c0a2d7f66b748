"""The components on a device: a folder for each, with the version that is installed.

    COMPONENTS/NAME/VERSION/...         the files of `engine.component`
    COMPONENTS/NAME/installed.json      which version counts, and whether it starts with the agent

`installed.json` is replaced in one step once the files are on the disk, so that an agent that
looks at any moment sees the old version or the new one.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from blemish.edge.durable_files import sync_names, write_whole_file
from blemish.edge.errors import EdgeError
from blemish.engine.bundle import CHECKSUMS
from blemish.engine.component import (
    FILES,
    MANIFEST,
    ComponentInfo,
    check_component_files,
    parse_component_info,
)
from blemish.engine.errors import BundleError

INSTALLED = "installed.json"
MOST_BYTES = 2 * 1024**3
"""Of the files of a component; an ONNX file has less."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}")


@dataclass(frozen=True, kw_only=True)
class InstalledComponent:
    """A component on the device."""

    name: str
    version: str
    #: of the files
    folder: Path
    autostart: bool
    #: None where the manifest cannot be read
    info: ComponentInfo | None
    #: why the manifest cannot be read
    problem: str | None
    #: changes with every installation
    revision: int


class ComponentFolder:
    """The folder of all components."""

    def __init__(self, root: Path, *, new_name: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._root = root
        self._new_name = new_name
        #: what was read last of each `installed.json`
        self._last: dict[Path, InstalledComponent] = {}

    def components(self) -> dict[str, InstalledComponent]:
        """Return the installed components by name; only changed files are read."""
        paths = self._root.glob(f"*/{INSTALLED}")
        current = {path: component for path in paths if (component := self._component(path))}
        self._last = current
        return {component.name: component for _, component in sorted(current.items())}

    def require(self, name: str) -> InstalledComponent:
        """Find a component.

        Raises:
            EdgeError: it is not installed.
        """
        component = self.components().get(name)
        if component is None:
            raise EdgeError(f"No component {name} is installed in {self._root}.")
        return component

    def install(self, archive: IO[bytes], *, autostart: bool | None) -> InstalledComponent:
        """Install a component from its zip; one of the same name is replaced.

        Args:
            archive: the zip.
            autostart: None leaves the setting of an earlier version; at first it is off.

        Raises:
            EdgeError: the zip is no component, or is damaged.
            OSError: the folder cannot be written.
        """
        files = _archive_files(archive)
        info = parse_component_info(files[MANIFEST], name="in the zip")
        if not _NAME.fullmatch(info.name) or info.name.startswith("."):
            raise EdgeError(f"The component has the name {info.name!r}, which no folder can have.")
        if not _VERSION.fullmatch(info.version):
            raise EdgeError(f"The component has the version {info.version!r}, not three numbers.")
        earlier = self.components().get(info.name)
        if autostart is None:
            autostart = earlier is not None and earlier.autostart
        home = self._root / info.name
        home.mkdir(parents=True, exist_ok=True)
        folder = home / f"{info.version}-{self._new_name()[:8]}"
        folder.mkdir()
        for name, data in files.items():
            write_whole_file(folder / name, data)
        sync_names(folder)
        sync_names(home)
        self._publish(home, folder=folder.name, version=info.version, autostart=autostart)
        for old in home.iterdir():
            if old.is_dir() and old != folder:
                shutil.rmtree(old, ignore_errors=True)
        return self.require(info.name)

    def remove(self, name: str) -> None:
        """Remove a component.

        Raises:
            EdgeError: it is not installed.
            OSError: it cannot be removed.
        """
        home = self.require(name).folder.parent
        (home / INSTALLED).unlink()
        sync_names(home)
        shutil.rmtree(home)

    def _publish(self, home: Path, *, folder: str, version: str, autostart: bool) -> None:
        document = {"version": version, "folder": folder, "autostart": autostart}
        write_whole_file(home / INSTALLED, (json.dumps(document) + "\n").encode())
        sync_names(home)

    def _component(self, path: Path) -> InstalledComponent | None:
        try:
            revision = path.stat().st_mtime_ns ^ path.stat().st_ino
            last = self._last.get(path)
            if last and last.revision == revision:
                return last
            document = json.loads(path.read_bytes())
            folder = path.parent / str(document["folder"])
            version, autostart = str(document["version"]), bool(document["autostart"])
        except (OSError, ValueError, LookupError, TypeError):
            return None  # it is being removed, or is none of ours
        info, problem = None, None
        try:
            info = parse_component_info((folder / MANIFEST).read_bytes(), name=path.parent.name)
        except (OSError, BundleError) as error:
            problem = str(error)
        return InstalledComponent(
            name=path.parent.name,
            version=version,
            folder=folder,
            autostart=autostart,
            info=info,
            problem=problem,
            revision=revision,
        )


def verify_component(component: InstalledComponent) -> None:
    """Compare the files of a component with their checksums.

    Raises:
        BundleError: a file is missing or damaged.
    """
    files = {}
    for name in FILES:
        try:
            files[name] = (component.folder / name).read_bytes()
        except OSError as error:
            raise BundleError(
                f"The file {component.folder / name} cannot be read: {error.strerror}."
            ) from error
    check_component_files(files, name=component.name)


def _archive_files(archive: IO[bytes]) -> Mapping[str, bytes]:
    """Read the files of a component from its zip, and no other.

    Raises:
        EdgeError: it is no zip, lacks a file, or a file is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [opened.getinfo(name) for name in FILES]
            _check_members(members)
            files = {member.filename: opened.read(member) for member in members}
    except KeyError as error:
        raise EdgeError(f"The zip is no component: {error.args[0]}.") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise EdgeError(f"The component cannot be unpacked: {error}.") from None
    try:
        check_component_files(files, name="in the zip")
    except BundleError as error:
        raise EdgeError(str(error)) from None
    assert CHECKSUMS in files
    return files


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse a zip that no packaging job writes, before it fills the memory.

    Raises:
        EdgeError: the files are too large, or compressed in another way.
    """
    size = sum(member.file_size for member in members)
    if size > MOST_BYTES:
        raise EdgeError(
            f"The files of the component have {size:,} bytes; {MOST_BYTES:,} are allowed."
        )
    for member in members:
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise EdgeError(
                f"The component cannot be unpacked: {member.filename} is not compressed by deflate."
            )
