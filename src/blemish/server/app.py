"""Builds one server from its settings, and runs it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.api.authorization import ApiGate
from blemish.api.service_model import service_model
from blemish.line.keeper import LineKeeper
from blemish.s3.service_model import s3_model
from blemish.server.foundation import Foundation, foundation_of
from blemish.server.front import Front
from blemish.server.interfaces import build_api, build_console, build_s3, build_sts
from blemish.server.monitors import Monitors
from blemish.server.services import UseCases, build_services
from blemish.server.stores import Storage, build_storage, tidy_directory
from blemish.server.upkeep import hosting_refresher, housekeeper
from blemish.server.workers import Workers, build_workers
from blemish.service.access.access_keys import AccessKeys
from blemish.service.data_ages import DataAges
from blemish.service.deletions import TrashService
from blemish.service.detection.counts import DetectionCounters, DetectionCounts
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress, database_address
from blemish.storage.database.database import Database
from blemish.storage.directory_identity import DirectoryIdentity
from blemish.storage.disk import Disk, copy_in_memory
from blemish.storage.shared.folders import SharedFolders
from blemish.sts.service import sts_model

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is ready to answer."""

    #: the ASGI application
    application: Front
    keys: AccessKeys
    #: False if the disk could not be written at the start
    can_write: bool = True


@contextmanager
def running_server(settings: Settings, directory: DataDirectory) -> Iterator[Server]:
    """Build a server over a data directory that this process has locked, and run it.

    Models that were hosted before are SYSTEM_UPDATING when this yields. Background work goes on
    until the end of the context; the next start takes up trainings that have not ended by then.
    """
    disk = Disk(directory)
    disk.make_room()
    problem = disk.write_problem() if directory.was_served else None
    with ExitStack() as stack:
        foundation = _founded(settings, directory, stack, disk_problem=problem)
        database = foundation.database
        ages = DataAges(database, now=foundation.now, monotonic=foundation.monotonic)
        storage = build_storage(foundation)
        storage.access_keys.seal_plain()
        workers = build_workers(foundation, storage)
        counts = DetectionCounts(database, now=foundation.now)
        monitors = Monitors(
            settings, directory, arns=foundation.arns, now=foundation.now, ages=ages
        )
        services = _use_cases(foundation, storage, workers, counts, monitors)
        lines = _line_keeper(foundation, services)
        front = _build_front(
            foundation, storage, services, workers, counts=counts, monitors=monitors, lines=lines
        )
        if problem is not None:
            stack.enter_context(_hosting_alone(workers, monitors))
        else:
            tidy_directory(foundation, storage)
            disk.take_reserve()
            background = _background(
                foundation,
                workers,
                counts=counts,
                monitors=monitors,
                ages=ages,
                disk=disk,
                shared=storage.shared or (),
                trash=services.trash,
            )
            stack.enter_context(background)
            stack.callback(lines.stop)
            lines.start()
        yield Server(application=front, keys=storage.access_keys, can_write=problem is None)


def _use_cases(
    foundation: Foundation,
    storage: Storage,
    workers: Workers,
    counts: DetectionCounts,
    monitors: Monitors,
) -> UseCases:
    return build_services(
        foundation,
        storage,
        wake=workers.reconciler.wake,
        hosted=workers.hosting,
        counter=DetectionCounters(monitors.detections, counts),
    )


def _line_keeper(foundation: Foundation, services: UseCases) -> LineKeeper:
    return LineKeeper(
        foundation.directory,
        detection=services.detection,
        arns=foundation.arns,
        now=foundation.now,
    )


def _founded(
    settings: Settings, directory: DataDirectory, stack: ExitStack, *, disk_problem: str | None
) -> Foundation:
    """Open the database of a directory, and be one of its servers until the end of the stack."""
    address = database_address(settings, directory)
    read_only = disk_problem is not None
    database = _opened_database(settings, directory, address, stack, read_only=read_only)
    foundation = foundation_of(
        settings,
        directory,
        database,
        is_shared=not isinstance(address, Path),
        disk_problem=disk_problem,
    )
    if disk_problem is None:
        stack.enter_context(_settled(foundation, address))
    else:
        logger.error("the server only reads, and runs what was hosted", reason=disk_problem)
    return foundation


def _opened_database(
    settings: Settings,
    directory: DataDirectory,
    address: DatabaseAddress,
    stack: ExitStack,
    *,
    read_only: bool,
) -> Database:
    """Open the database of a directory, or a copy of its file if the disk cannot be written."""
    if read_only and isinstance(address, Path):
        address = stack.enter_context(copy_in_memory(address))
    _identity(settings, directory, address).check()
    database = Database.open(address)
    stack.callback(database.close)
    return database


def _identity(
    settings: Settings, directory: DataDirectory, address: DatabaseAddress
) -> DirectoryIdentity:
    is_shared = not isinstance(address, Path) and settings.files_url is not None
    return DirectoryIdentity(directory, database=address, is_shared=is_shared)


@contextmanager
def _settled(foundation: Foundation, address: DatabaseAddress) -> Iterator[None]:
    """Mark the directory, and be one of the servers of its database until the end of the context.

    Raises:
        StorageError: this server may not use the database.
    """
    identity = _identity(foundation.settings, foundation.directory, address)
    with ExitStack() as stack:
        if foundation.is_shared:
            # only here, since one machine pays nothing for others
            from blemish.server.joining import joined, settle_default_key  # noqa: PLC0415

            settle_default_key(foundation, identity)
            stack.enter_context(joined(foundation))
        identity.settle(foundation.database, new_id=foundation.new_name())
        yield


@contextmanager
def _hosting_alone(workers: Workers, monitors: Monitors) -> Iterator[None]:
    """Load what was hosted, and do no other work, since nothing can be written."""
    monitors.audit_log.start()
    if workers.cluster_detectors is not None:
        workers.cluster_detectors.start()
    workers.hosting_work.begin()
    loading = threading.Thread(target=workers.hosting_work.load_all, name="hosting", daemon=True)
    loading.start()
    try:
        yield
    finally:
        if workers.cluster_detectors is not None:
            workers.cluster_detectors.stop()
        loading.join()
        monitors.audit_log.stop()


def _build_front(
    foundation: Foundation,
    storage: Storage,
    services: UseCases,
    workers: Workers,
    *,
    counts: DetectionCounts,
    monitors: Monitors,
    lines: LineKeeper,
) -> Front:
    """Build the ASGI application: the API, S3, the console and the pages for monitors."""
    monitors.watch_lines(lines.alarms)
    gate = ApiGate(service_model(), foundation.database, arns=foundation.arns)
    api = build_api(foundation, services, gate=gate, observers=monitors.observers(service_model()))
    s3 = build_s3(foundation, storage, services, observers=monitors.observers(s3_model()))
    sts = build_sts(foundation, services, observers=monitors.observers(sts_model()))
    console = build_console(
        foundation,
        storage,
        services,
        workers,
        api=api,
        gate=gate,
        counts=counts,
        audits=monitors.console_audits(),
        lines=lines,
    )
    status = monitors.pages(
        foundation.database,
        objects=storage.objects,
        hosting=workers.hosting,
        cluster=workers.cluster_check.problem if workers.cluster_check else None,
        broker=workers.cluster_detectors.problem if workers.cluster_detectors else None,
        running_trainings=workers.reconciler.running_trainings,
        waiting_requests={"lookoutvision": lambda: api.waiting, "s3": lambda: s3.waiting},
    )
    return Front(api=api, console=console, s3=s3, sts=sts, status=status)


@contextmanager
def _background(
    foundation: Foundation,
    workers: Workers,
    *,
    counts: DetectionCounts,
    monitors: Monitors,
    ages: DataAges,
    disk: Disk,
    shared: Iterable[SharedFolders],
    trash: TrashService,
) -> Iterator[None]:
    """Run the audit log, the workers and the housekeeper until the end of the context."""
    with ExitStack() as stack:
        monitors.audit_log.start()
        stack.callback(monitors.audit_log.stop)
        workers.hosting_work.begin()
        workers.reconciler.start()
        stack.callback(workers.reconciler.stop)
        if workers.cluster_detectors is not None:
            workers.cluster_detectors.start()
            stack.callback(workers.cluster_detectors.stop)
        stack.callback(workers.trainings.stop)
        stack.callback(workers.detection_job_work.stop)
        if workers.cluster_check is not None:
            workers.cluster_check.start()
            stack.callback(workers.cluster_check.stop)
        stack.callback(counts.write)
        keeper = housekeeper(
            foundation.settings,
            foundation.directory,
            foundation.database,
            counts=counts,
            now=foundation.now,
            ages=ages,
            disk=disk,
            shared=shared,
            trash=trash,
        )
        keeper.start()
        stack.callback(keeper.stop)
        if foundation.settings.files_url is not None:
            refresher = hosting_refresher(workers.hosting_work, now=foundation.now)
            refresher.start()
            stack.callback(refresher.stop)
        yield
