"""`blemish export`: the bundle of a model as plain files; also beside a running server.

What else reads a kept bundle finds it here too.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from blemish.engine.bundle import Bundle, write_bundle
from blemish.server.stores import bundles_of
from blemish.service.models.models import LATEST, require_model
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.database.database import Database
from blemish.storage.files import publish_folder, remove_tree


class ExportError(Exception):
    """The model cannot be exported; the message says why."""


def export_bundle(settings: Settings, project: str, version: str, *, to: Path) -> None:
    """Open the bundle of a model and write its files into a new folder.

    Raises:
        ExportError: the model has no bundle, or the folder is there already.
        ServiceError: there is no such model.
        BundleError: the bundle is damaged.
        StorageError: there is no such data directory, the bundle cannot be opened, or the folder
            not be written.
        OSError: the folder cannot be written.
    """
    if to.exists():
        raise ExportError(f"{to} exists already. Name a folder that does not.")
    bundle = trained_bundle(settings, project, version)
    aside = to.parent / f".{to.name}-{uuid4().hex}"
    aside.mkdir(parents=True)
    try:
        write_bundle(bundle, aside)
        publish_folder(aside, to)
    finally:
        remove_tree(aside, staging=aside.parent)


def trained_bundle(settings: Settings, project: str, version: str) -> Bundle:
    """Open the bundle of a model.

    Raises:
        ExportError: the model has no bundle.
        ServiceError: there is no such model.
        BundleError: the bundle is damaged.
        StorageError: there is no such data directory, or the bundle cannot be opened.
    """
    directory = DataDirectory(settings.data_dir)
    return bundles_of(settings, directory).read(_bundle_name(settings, project, version))


def _bundle_name(settings: Settings, project: str, version: str) -> str:
    if version != LATEST and not version.isdecimal():
        raise ExportError(f"{version!r} is no version: it must be a number, or `{LATEST}`.")
    address = database_address(settings, DataDirectory(settings.data_dir))
    database = Database.open_current(address)
    try:
        with database.reading() as rows:
            model = require_model(rows, project, version)
    finally:
        database.close()
    if model.bundle is None:
        raise ExportError(f"Model {model.project}/{model.version} is {model.status}: no bundle.")
    return model.bundle
