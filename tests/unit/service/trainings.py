"""The work of trainings over the services of a test."""

from __future__ import annotations

from blemish.domain.limits import OURS
from blemish.service.training.backbones import Backbones, ProjectBackbones
from blemish.service.training.log import TrainingLog
from blemish.service.training.training import TrainingWork
from blemish.storage.objects.store import ObjectStore
from tests.unit.fakes import FakeTrainings, Step
from tests.unit.house import LEASE, House

OPTIONS = {
    "limits": OURS,
    "mask_orientation": None,
    "threads": 2,
    "log_format": "json",
    "log_level": "info",
}
NOTHING: dict[str, list[str]] = {"attempts": [], "staging": [], "bundles": []}


def work(
    house: House,
    *steps: Step,
    runner: FakeTrainings | None = None,
    objects: ObjectStore | None = None,
    backbone: str | None = None,
    log: TrainingLog | None = None,
) -> TrainingWork:
    """Return the work of trainings that take these steps."""
    return TrainingWork(
        house.database,
        runner=runner or FakeTrainings(*steps),
        objects=objects or house.objects,
        stored_files=house.stored_files,
        bundles=house.bundles,
        attempts=house.directory.attempts,
        staging=house.directory.staging,
        backbones=ProjectBackbones(
            Backbones(house.directory.backbones), default=backbone, by_project={}
        ),
        arns=house.arns,
        mixed_sizes=False,
        options=OPTIONS,
        log=log or TrainingLog(now=house.clock),
        now=house.clock,
        clock=lambda _: house.clock(),
        lease=LEASE,
    )


def left_behind(house: House) -> dict[str, list[str]]:
    """Return what lies where only the work of now may lie, and the bundles."""
    directory = house.directory
    folders = (directory.attempts, directory.staging, directory.bundles)
    return {folder.name: sorted(each.name for each in folder.iterdir()) for folder in folders}
