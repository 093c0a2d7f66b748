"""A real server on a disk without a byte left, or one that can only be read."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.product import PROJECT, detect, host, images
from tests.acceptance.served import ServedDirectory, fill, model_status, small_disk, wait_for

pytestmark = pytest.mark.acceptance


@pytest.fixture
def hosted(tmp_path: Path, trained: Path) -> Iterator[ServedDirectory]:
    """A server with a hosted model, on a small disk that is mounted at `disk`."""
    with small_disk(tmp_path / "disk", size="24m"):
        served = ServedDirectory(tmp_path / "disk" / "data", environment={}, content=trained)
        served.log = tmp_path / "server.log"
        served.start()
        host(served.client())
        try:
            yield served
        finally:
            served.end(signal.SIGKILL)


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_with_no_byte_left_a_model_is_stopped_and_deleted_and_there_is_room_again(
    hosted: ServedDirectory,
) -> None:
    client = hosted.client()
    fill(hosted.folder.parent / "ballast")

    with pytest.raises(ClientError) as caught:
        client.create_project(ProjectName="later")
    answered = detect(client, images()[0][1])
    client.stop_model(ProjectName=PROJECT, ModelVersion="1")
    wait_for(
        model_status(client, PROJECT, "1"), {"TRAINED"}, while_in={"STOPPING_HOSTING", "HOSTED"}
    )
    client.delete_dataset(ProjectName=PROJECT, DatasetType="train")
    client.delete_model(ProjectName=PROJECT, ModelVersion="1")

    def models() -> str:
        return "some" if client.list_models(ProjectName=PROJECT)["Models"] else "none"

    wait_for(models, {"none"}, while_in={"some"})
    assert code(caught) == ("InsufficientStorageException", 507)
    assert "IsAnomalous" in answered
    assert not (hosted.folder / "reserve").exists()
    assert list((hosted.folder / "bundles").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_start_on_a_full_disk_without_a_reserve_hosts_models_and_says_why_it_does_no_more(
    hosted: ServedDirectory, number: signal.Signals
) -> None:
    _, body = images()[0]
    before = detect(hosted.client(), body)
    hosted.end(number)
    (hosted.folder / "reserve").unlink()
    ballast = hosted.folder.parent / "ballast"
    fill(ballast)

    hosted.start_as_it_is()
    client = hosted.client()
    answered = detect(client, body)
    with pytest.raises(ClientError, match="No space left on device") as caught:
        client.delete_model(ProjectName=PROJECT, ModelVersion="1")
    hosted.end()
    ballast.unlink()
    hosted.start()

    assert answered == before
    assert code(caught) == ("ServiceUnavailableException", 503)
    hosted.client().create_project(ProjectName="later")
    assert detect(hosted.client(), body) == before


def test_a_start_on_a_read_only_disk_hosts_models(hosted: ServedDirectory) -> None:
    _, body = images()[0]
    before = detect(hosted.client(), body)
    hosted.end(signal.SIGKILL)
    disk = hosted.folder.parent
    remount = shutil.which("mount") or "mount"
    subprocess.run([remount, "-o", "remount,ro", str(disk)], check=True)

    hosted.start_as_it_is()
    client = hosted.client()
    answered = detect(client, body)
    with pytest.raises(ClientError, match="Read-only file system") as caught:
        client.create_project(ProjectName="later")
    hosted.end()
    subprocess.run([remount, "-o", "remount,rw", str(disk)], check=True)

    assert answered == before
    assert code(caught) == ("ServiceUnavailableException", 503)
