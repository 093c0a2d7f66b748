"""An older server goes on beside a newer one that has brought their database up to date."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import LEASE_S, OUTPUT, Cluster, eventually, source
from tests.acceptance.cluster_work import make_project
from tests.acceptance.served import dataset_status, model_status, wait_for
from tests.conftest import ROOT
from tests.postgresql_server import PostgresqlServer

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(600)]

OLDER = "5be49f05927a937d08f13b8fd2e4d5479dea7d08"
"""The last commit before servers shared a database, with the schema 0024."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The sources of the older version."""
    archived = subprocess.run(
        ["git", "-C", str(ROOT), "archive", OLDER, "src"], capture_output=True, check=False
    )
    if archived.returncode:
        pytest.skip(f"the history of the repository lacks {OLDER}")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as sources:
        sources.extractall(tmp_path / "older", filter="data")
    return tmp_path / "older" / "src"


@pytest.fixture
def cluster(postgresql_server: PostgresqlServer, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, postgresql_server.new_database(tmp_path.name))
    cluster.start_s3()
    yield cluster
    cluster.end()


def test_an_older_server_goes_on_beside_a_newer_schema_and_is_then_updated(
    cluster: Cluster, older: Path
) -> None:
    first = cluster.server("first")
    settings = {**first._environment}
    first._environment |= {"PYTHONPATH": str(older)}
    del first._environment["BLEMISH_FILES_URL"]  # which it does not know
    first.start_as_it_is()
    old_client = cluster.client(first)
    make_project(old_client, "before")
    schemas = cluster.ask("SELECT version_num FROM alembic_version")

    second = cluster.start("second")
    new_client = cluster.client(second)

    assert schemas == [("0024",)] != cluster.ask("SELECT version_num FROM alembic_version")
    for name, client in (("old", old_client), ("new", new_client)):
        client.create_project(ProjectName=name)
        client.create_dataset(
            ProjectName=name, DatasetType="train", DatasetSource=source("images.manifest")
        )
    for name, client in (("old", new_client), ("new", old_client)):
        status = dataset_status(client, name, "train")
        wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    assert first.end(signal.SIGTERM) == 0
    first._environment = settings | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    first.start_as_it_is()

    # not before: the older version has the entries of trainings in its data directory alone
    new_client.create_model(ProjectName="before", OutputConfig=OUTPUT)
    status = model_status(cluster.client(first), "before", "1")
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"}, patience_s=400)
    eventually(lambda: len(cluster.ask("SELECT id FROM servers")) == 2, within_s=LEASE_S)
