"""The rows of every table within one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from blemish.storage.rows.access_keys import Keys
from blemish.storage.rows.client_tokens import ClientTokens
from blemish.storage.rows.datasets import Datasets
from blemish.storage.rows.detection_counts import DetectionCountRows
from blemish.storage.rows.detection_jobs import DetectionJobs
from blemish.storage.rows.detection_segments import DetectionSegments
from blemish.storage.rows.directory import DirectoryRow
from blemish.storage.rows.entries import Entries
from blemish.storage.rows.folder_markers import FolderMarkerRows
from blemish.storage.rows.kiosk_links import KioskLinkRows
from blemish.storage.rows.models import Models
from blemish.storage.rows.object_metadata import ObjectMetadataRows
from blemish.storage.rows.packaging_jobs import PackagingJobs
from blemish.storage.rows.projects import Projects
from blemish.storage.rows.servers import Servers
from blemish.storage.rows.sessions import Sessions
from blemish.storage.rows.tags import Tags
from blemish.storage.rows.trash import TrashRows
from blemish.storage.rows.trial_images import TrialImages
from blemish.storage.rows.uploads import Uploads
from blemish.storage.rows.users import UserRows
from blemish.storage.rows.work import WorkRows


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of every table within one transaction."""

    projects: Projects
    datasets: Datasets
    entries: Entries
    models: Models
    tags: Tags
    packaging_jobs: PackagingJobs
    keys: Keys
    users: UserRows
    kiosk_links: KioskLinkRows
    trash: TrashRows
    object_metadata: ObjectMetadataRows
    folder_markers: FolderMarkerRows
    uploads: Uploads
    client_tokens: ClientTokens
    detection_jobs: DetectionJobs
    detection_segments: DetectionSegments
    trial_images: TrialImages
    sessions: Sessions
    detection_counts: DetectionCountRows
    directory: DirectoryRow
    servers: Servers
    work: WorkRows

    def stored_names(self) -> set[str]:
        """Return the names of the bundles and stored files that rows refer to."""
        return self.names_without_segments() | self.detection_segments.stored_names()

    def names_without_segments(self) -> set[str]:
        """Return the same, except files that running batches add every few seconds."""
        return (
            self.models.stored_names()
            | self.datasets.stored_names()
            | self.detection_jobs.stored_names()
        )


def rows_of(connection: Connection) -> Rows:
    """Return the rows of every table within the transaction of a connection."""
    return Rows(
        projects=Projects(connection),
        datasets=Datasets(connection),
        entries=Entries(connection),
        models=Models(connection),
        tags=Tags(connection),
        packaging_jobs=PackagingJobs(connection),
        keys=Keys(connection),
        users=UserRows(connection),
        kiosk_links=KioskLinkRows(connection),
        trash=TrashRows(connection),
        object_metadata=ObjectMetadataRows(connection),
        folder_markers=FolderMarkerRows(connection),
        uploads=Uploads(connection),
        client_tokens=ClientTokens(connection),
        detection_jobs=DetectionJobs(connection),
        detection_segments=DetectionSegments(connection),
        trial_images=TrialImages(connection),
        sessions=Sessions(connection),
        detection_counts=DetectionCountRows(connection),
        directory=DirectoryRow(connection),
        servers=Servers(connection),
        work=WorkRows(connection),
    )
