"""The chores of a server, and how often each is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from blemish.runners.housekeeper import Chore, Housekeeper
from blemish.service.data_ages import DataAges
from blemish.service.deletions import UNDO_AGE, TrashService
from blemish.service.detection.counts import DetectionCounts
from blemish.service.housekeeping import Housekeeping
from blemish.service.models.hosting import HostingWork
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.disk import Disk
from blemish.storage.shared.folders import SharedFolders

COUNTS_S = 15.0
"""How much of the counts of detections a crash may take with it."""

REFRESH_S = 0.5
"""How often rows are compared with the models that are loaded."""

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0


def housekeeper(
    settings: Settings,
    directory: DataDirectory,
    database: Database,
    *,
    counts: DetectionCounts,
    now: Callable[[], datetime],
    ages: DataAges,
    disk: Disk,
    trash: TrashService,
    shared: Iterable[SharedFolders] = (),
) -> Housekeeper:
    """Put the housekeeper of a data directory together."""
    house = Housekeeping(
        database,
        directory=directory,
        upload_age=timedelta(days=settings.upload_max_age_days),
        database_copies=settings.database_copies,
        cutoff=ages.cutoff,
        shared=shared,
    )
    chores = [
        Chore(name="clock", every_s=MINUTE_S, act=ages.write),
        Chore(name="detections", every_s=COUNTS_S, act=lambda _: counts.write()),
        Chore(name="client tokens", every_s=HOUR_S, act=house.forget_client_tokens),
        Chore(name="sessions", every_s=HOUR_S, act=house.forget_sessions),
        Chore(name="counts of detections", every_s=DAY_S, act=house.forget_detection_counts),
        Chore(name="uploads", every_s=HOUR_S, act=house.give_up_uploads),
        Chore(name="remains", every_s=HOUR_S, act=house.remove_remains),
        Chore(name="trash", every_s=HOUR_S, act=house.empty_trash),
        Chore(name="shared files", every_s=DAY_S, act=house.remove_unnamed_shared),
        Chore(name="copies of the database", every_s=HOUR_S, act=house.remove_copies),
        Chore(name="thumbnails", every_s=DAY_S, act=house.remove_thumbnails),
        Chore(name="objects", every_s=DAY_S, act=house.forget_objects),
        Chore(
            name="deletions",
            every_s=MINUTE_S,
            act=lambda at: trash.delete_older(ages.cutoff(at, UNDO_AGE)),
        ),
        Chore(name="reserve", every_s=MINUTE_S, act=disk.take_reserve),
        Chore(name="write-ahead log", every_s=MINUTE_S, act=house.shorten_log),
    ]
    return Housekeeper(chores, now=now, monotonic=time.monotonic)


def hosting_refresher(hosting: HostingWork, *, now: Callable[[], datetime]) -> Housekeeper:
    """Return what unloads models that other servers have stopped or changed, within a second."""
    chore = Chore(name="hosted models", every_s=REFRESH_S, act=hosting.unload_outdated)
    return Housekeeper([chore], now=now, monotonic=time.monotonic, look_s=REFRESH_S)
