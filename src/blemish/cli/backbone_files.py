"""What `blemish backbone` does: fetching, importing and listing."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from blemish.engine.backbones.architectures import build_backbone
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.catalogue import CATALOGUE, known_by_checksum
from blemish.engine.backbones.installed_weights import default_backbone, packaged_backbones
from blemish.engine.backbones.state_dicts import read_state_dict
from blemish.engine.errors import BackboneError
from blemish.server.backbones import shared_or_local_backbones
from blemish.service.training.backbones import BackboneInfo
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.hub import Hub, HubFile, fetch


class BackboneDesk:
    """Adds and shows the backbones of a data directory."""

    def __init__(self, settings: Settings) -> None:
        self._directory = DataDirectory(settings.data_dir)
        self._backbones = shared_or_local_backbones(settings, self._directory)
        self._hub = Hub(endpoint=settings.hub_endpoint)
        self._console = Console(highlight=False, soft_wrap=True)

    def pull(self, name: str) -> None:
        """Fetch a backbone of the catalogue.

        Raises:
            BackboneError: the name is unknown or taken, or what came is no such network.
            StorageError: the hub does not give it, or it cannot be written.
        """
        if name not in CATALOGUE:
            raise BackboneError(
                f"{name!r} is no backbone that can be fetched; those are {', '.join(CATALOGUE)}. "
                "`blemish backbone import FILE` takes any other."
            )
        known = CATALOGUE[name]
        self._directory.create()
        self._backbones.check_free(name)
        file = self._hub.find(
            known.repository, known.file, revision=known.revision, sha256=known.sha256
        )
        fetched = self._backbones.partial / f"{file.sha256}.safetensors"
        self._fetch(file, fetched, name=name)
        self._add(fetched, name=name, licence=known.licence, source=file.url)
        fetched.unlink()

    def import_file(self, file: Path, *, name: str | None, licence: str) -> None:
        """Add a backbone from a file.

        Raises:
            BackboneError: the file is none, or the name is taken.
            StorageError: it cannot be written.
        """
        self._directory.create()
        self._backbones.check_free(name or file.stem)
        self._add(file, name=name or file.stem, licence=licence, source=str(file.absolute()))

    def show(self) -> None:
        """Print what is here and what could be."""
        installed = self._backbones.names()
        table = Table(box=None)
        table.add_column("name", min_width=max(map(len, [*installed, *CATALOGUE])))
        for heading in ("architecture", "licence", "size", "state"):
            table.add_column(heading, overflow="fold")
        for own in packaged_backbones():
            state = "default" if own.name == default_backbone() else "installed"
            size = decimal(own.kilobytes * 1_000)
            table.add_row(own.name, own.architecture, own.licence, size, state)
        for name in installed:
            try:
                info = self._backbones.info(name)
                self._backbones.file(name)
            except BackboneError:
                table.add_row(name, "", "", "", "damaged")
            else:
                size = decimal(info.size_bytes)
                table.add_row(name, info.architecture, info.licence, size, "here")
        for name, known in CATALOGUE.items():
            if name not in installed:
                size = decimal(known.megabytes * 1_000_000)
                table.add_row(name, "", known.licence, size, "to be fetched")
        self._console.print(table)

    def _fetch(self, file: HubFile, to: Path, *, name: str) -> None:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        with Progress(TextColumn(f"Fetching {name}"), *columns, console=console) as bar:
            task = bar.add_task(name, total=file.size_bytes)
            fetch(file, to, progress=lambda done: bar.update(task, completed=done))

    def _add(self, file: Path, *, name: str, licence: str, source: str) -> None:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise BackboneError(f"{file} cannot be read ({error.strerror}).") from error
        checksum = hashlib.sha256(data).hexdigest()
        architecture, model = _network(file, data)
        known = known_by_checksum(checksum)
        info = BackboneInfo(
            name=name,
            architecture=architecture,
            licence=known.licence if known else licence,
            source=source,
            source_sha256=checksum,
            sha256=hashlib.sha256(model).hexdigest(),
            size_bytes=len(model),
        )
        self._backbones.add(info, model)
        size = decimal(info.size_bytes)
        self._console.print(f"Added {name} ({architecture}, {info.licence}, {size}).")
        self._console.print(f"BLEMISH_BACKBONE={name} has models trained with it.")


def _network(file: Path, data: bytes) -> tuple[str, bytes]:
    """Return the architecture and the ONNX file of a network, once it has run."""
    if file.suffix == ".onnx":
        load_backbone(file)
        return "onnx", data
    try:
        architecture, model = build_backbone(read_state_dict(file))
    except BackboneError as error:
        reason = str(error)
        prefix = "" if reason.startswith(str(file)) else f"{file}: "
        raise BackboneError(f"{prefix}{reason}") from error
    network = model.SerializeToString(deterministic=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{file.stem}.onnx")
        path.write_bytes(network)
        load_backbone(path)
    return architecture, network
