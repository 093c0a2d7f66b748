"""A real server beside a database that is lost, old, or of another directory."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.acceptance.product import PROJECT, host
from tests.acceptance.served import BUCKET, SERVE, ServedDirectory, model_status, wait_for
from tests.acceptance.test_s3 import s3_client

pytestmark = pytest.mark.acceptance


def refusal(served: ServedDirectory) -> str:
    """Start a server that refuses its data directory; return what it says."""
    started = subprocess.run(
        [*SERVE, "--data-dir", str(served.folder)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert started.returncode == 2, started.stderr
    return started.stderr


def files(served: ServedDirectory) -> set[str]:
    folders = ("bundles", "kept")
    return {str(path) for folder in folders for path in (served.folder / folder).rglob("*")}


def test_a_server_without_its_database_deletes_nothing_and_serves_once_it_is_back(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    served = served_model
    served.client().create_project(ProjectName="later")
    served.end(signal.SIGTERM)
    before = files(served)
    database, aside = served.folder / "blemish.db", tmp_path / "aside.db"
    database.rename(aside)

    missing = refusal(served)
    database.touch()
    empty = refusal(served)
    untouched = files(served)
    shutil.copy(aside, database)
    served.start()

    assert "blemish.db is missing" in missing
    assert "blemish restore" in missing
    assert "blemish.db is empty" in empty
    assert untouched == before
    host(served.client())
    assert files(served) == before


def test_an_older_database_is_refused_and_an_adopted_one_moves_models_aside(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    served = served_model
    older = tmp_path / "older.db"
    served.end(signal.SIGTERM)
    shutil.copy(served.folder / "blemish.db", older)
    served.start()
    client = served.client()
    client.delete_model(ProjectName=PROJECT, ModelVersion="1")
    status = model_status(client, PROJECT, "1")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        wait_for(status, {"gone"}, while_in={"DELETING", "TRAINED"})
    served.end(signal.SIGKILL)
    for ending in ("-wal", "-shm"):
        (served.folder / f"blemish.db{ending}").unlink(missing_ok=True)
    shutil.copy(older, served.folder / "blemish.db")
    (served.folder / "bundles" / "of-nobody").mkdir()

    refused = refusal(served)
    adopted = subprocess.run(
        [*SERVE[:3], "adopt", "--data-dir", str(served.folder)], check=True, capture_output=True
    )
    served.start()

    assert "is older than" in refused
    assert b"takes" in adopted.stdout
    assert model_status(served.client(), PROJECT, "1")() == "TRAINED"  # as the old database says
    assert [path.name for path in (served.folder / "trash").glob("*/bundles/*")] == ["of-nobody"]


def test_a_clock_two_years_ahead_deletes_nothing_and_is_named(served: ServedDirectory) -> None:
    upload = {"Bucket": BUCKET, "Key": "large"}
    upload["UploadId"] = s3_client(served).create_multipart_upload(**upload)["UploadId"]
    served.end(signal.SIGTERM)
    audited = (
        served.folder / "audit" / f"{datetime.now(UTC).date() - timedelta(days=760)}.0001.jsonl"
    )
    audited.write_text("{}\n")  # 30 days before what the last run saw
    with closing(sqlite3.connect(served.folder / "blemish.db")) as database, database:
        database.execute("UPDATE uploads SET created_at = datetime('now', '-735 days')")
        database.execute("UPDATE directory SET clock_read_at = datetime('now', '-730 days')")

    served.start()  # on a clock that is two years ahead of the directory
    s3_client(served).list_buckets()  # something to be audited
    with urlopen(f"{served.endpoint}/readyz") as answer:
        readiness = json.load(answer)
    served.end(signal.SIGTERM)

    assert readiness["ready"]
    assert readiness["checks"]["clock"].startswith("the clock jumped forward by 729 days")
    assert "the clock is not where the last run ended" in served.log.read_text()
    assert [path.name[:10] for path in audited.parent.glob(f"{audited.name[:10]}*")]
    with closing(sqlite3.connect(served.folder / "blemish.db")) as database:
        assert database.execute("SELECT id FROM uploads").fetchall() == [(upload["UploadId"],)]
