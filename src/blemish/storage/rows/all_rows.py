"""The rows of every table within one transaction."""

from __future__ import annotations

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


class Rows:
    """The rows of every table within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.projects = Projects(connection)
        self.datasets = Datasets(connection)
        self.entries = Entries(connection)
        self.models = Models(connection)
        self.tags = Tags(connection)
        self.packaging_jobs = PackagingJobs(connection)
        self.keys = Keys(connection)
        self.users = UserRows(connection)
        self.kiosk_links = KioskLinkRows(connection)
        self.trash = TrashRows(connection)
        self.object_metadata = ObjectMetadataRows(connection)
        self.folder_markers = FolderMarkerRows(connection)
        self.uploads = Uploads(connection)
        self.client_tokens = ClientTokens(connection)
        self.detection_jobs = DetectionJobs(connection)
        self.detection_segments = DetectionSegments(connection)
        self.trial_images = TrialImages(connection)
        self.sessions = Sessions(connection)
        self.detection_counts = DetectionCountRows(connection)
        self.directory = DirectoryRow(connection)
        self.servers = Servers(connection)
        self.work = WorkRows(connection)

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
