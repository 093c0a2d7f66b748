"""`blemish serve` as a user meets it: files, modes, messages, the lock, the end."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from blemish.server.http_protocol import HEAD_BYTES
from tests.acceptance.product import make_dataset, put_product, start_training
from tests.acceptance.served import (
    SERVE,
    ServedDirectory,
    dataset_status,
    environment,
    fill,
    model_status,
    served_on_small_disk,
    wait_for,
)

pytestmark = pytest.mark.acceptance

HEAVY = (
    *("numpy", "onnxruntime", "PIL", "scipy", "onnx", "boto3", "torch", "psycopg"),
    *("aws_encryption_sdk", "nicegui", "fastapi"),
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_what_clients_need(served: ServedDirectory) -> None:
    aws = served.folder / "aws"

    client = subprocess.run(
        [
            sys.executable,
            "-c",
            "import boto3; print(boto3.client('lookoutvision').list_projects()['Projects'])",
        ],
        env={
            "PATH": os.environ["PATH"],
            "AWS_CONFIG_FILE": str(aws / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
            "AWS_PROFILE": "blemish",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert client.stdout.strip() == "[]"
    assert mode(served.folder) == 0o700
    assert mode(aws / "config") == 0o600
    assert mode(aws / "credentials") == 0o600
    assert mode(served.folder / "blemish.db") == 0o600
    log = served.log.read_text()
    assert str(aws / "config") in log
    assert str(aws / "credentials") in log
    secret = re.search(r"aws_secret_access_key = (\S+)", (aws / "credentials").read_text())
    assert secret is not None
    assert secret[1] not in log


def test_the_config_follows_the_port_and_the_credentials_stay(served: ServedDirectory) -> None:
    before = (served.folder / "aws" / "credentials").read_bytes()
    first = served.endpoint
    assert served.end() == 0

    served.start()

    config = (served.folder / "aws" / "config").read_text()
    assert served.endpoint in config
    assert first == served.endpoint or first not in config
    assert (served.folder / "aws" / "credentials").read_bytes() == before
    assert served.client().list_projects()["Projects"] == []


def test_a_start_cut_off_before_the_key_was_kept_is_taken_up(served: ServedDirectory) -> None:
    served.end()
    before = (served.folder / "aws" / "credentials").read_bytes()
    for pattern in ("blemish.db*", "identity", "audit/*"):  # none of them was there yet
        for path in served.folder.glob(pattern):
            path.unlink()

    served.start()

    assert (served.folder / "aws" / "credentials").read_bytes() == before
    assert served.client().list_projects()["Projects"] == []


def test_on_a_terminal_each_variable_is_shown_once_to_be_pasted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*SERVE, "--data-dir", str(tmp_path / "data")],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment(tmp_path, no_proxy="*"),
    )
    os.close(theirs)
    shown = b""
    while b"AWS_ENDPOINT_URL_S3" not in shown or not shown.endswith(b"\n"):
        shown += os.read(ours, 1024)
    process.terminate()
    assert process.wait(20) == 0
    os.close(ours)

    exports = re.findall(r"export (\w+)=(\S+)", shown.decode())
    assert [name for name, _ in exports] == [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_LOOKOUTVISION",
        "AWS_ENDPOINT_URL_S3",
    ]
    assert dict(exports)["AWS_SECRET_ACCESS_KEY"] in (tmp_path / "data/aws/credentials").read_text()


def test_a_second_server_says_who_holds_the_folder(served: ServedDirectory) -> None:
    assert served.process is not None

    second = subprocess.run(
        [*SERVE, "--data-dir", str(served.folder)], capture_output=True, text=True, check=False
    )

    assert second.returncode == 2
    assert str(served.folder) in second.stderr
    assert f"process {served.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert served.client().list_projects()["Projects"] == []


def test_a_port_in_use_and_a_wrong_setting_are_named(
    served: ServedDirectory, tmp_path: Path
) -> None:
    port = served.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "blemish.cli.main", "serve"]
    command += ["--data-dir", str(tmp_path / "other")]

    taken = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
    wrong = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"BLEMISH_CLOCK_SKEW_S": "soon"},
    )

    assert taken.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on" in taken.stderr
    assert wrong.returncode == 2
    assert "BLEMISH_CLOCK_SKEW_S='soon'" in wrong.stderr
    assert "Traceback" not in taken.stderr + wrong.stderr


def test_a_folder_that_cannot_be_used_is_not_called_an_address(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    refused = subprocess.run(
        [*SERVE, "--data-dir", str(file)], capture_output=True, text=True, check=False
    )

    assert refused.returncode == 2
    assert refused.stderr == f"blemish: {file} cannot be used as a data directory: File exists.\n"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        (
            {"BLEMISH_S3_ENDPOINT": "http://127.0.0.1:9", "BLEMISH_S3_PROFILE": "absent"},
            "The AWS profile 'absent'",
        ),
        ({"BLEMISH_BACKBONE": "absent"}, "BLEMISH_BACKBONE=absent"),
    ],
)
def test_a_start_with_settings_that_cannot_be_used_leaves_no_file(
    tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    data = tmp_path / "data"

    refused = subprocess.run(
        [*SERVE, "--data-dir", str(data)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path, **variables),
    )

    assert refused.returncode == 2
    assert reason in refused.stderr
    assert not data.exists()


def test_a_server_that_starts_imports_nothing_heavy(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve(PYTHONVERBOSE="1")
    imported = set(re.findall(r"^import '([\w.]+)'", served.log.read_text(), re.MULTILINE))

    assert "blemish.wire.dispatch" in imported
    assert [name for name in HEAVY if name in imported] == []


def test_systemd_is_told_once_whoever_connects_is_answered(
    serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)

        served = serve(NOTIFY_SOCKET=str(tmp_path / "notify"))

        assert systemd.recv(100) == b"READY=1"
    assert served.client().list_projects()["Projects"] == []


def test_a_head_of_a_request_that_does_not_end_is_refused(served: ServedDirectory) -> None:
    host, _, port = served.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connected:
        connected.sendall(b"GET / HTTP/1.1\r\nx: ".ljust(HEAD_BYTES + 1, b"a"))

        answer = connected.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert served.client().list_projects()["Projects"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's table of connections")
def test_a_client_that_is_there_no_more_is_noticed_some_time(served: ServedDirectory) -> None:
    host, _, port = served.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connected:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        ends = [f":{number:04X}" for number in (int(port), connected.getsockname()[1])]
        [timer] = [row[5] for row in rows if [row[1][-5:], row[2][-5:]] == ends]

    assert timer.startswith("02:")  # that of keepalive


def test_sigint_ends_it_too(served: ServedDirectory) -> None:
    assert served.end(signal.SIGINT) == 0
    assert "Traceback" not in served.log.read_text()


def test_a_full_disk_interrupts_a_training_which_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with served_on_small_disk(tmp_path, size="24m") as served:
        client = served.client()
        make_dataset(served, client)
        ballast = tmp_path / "disk" / "ballast"
        room = os.statvfs(tmp_path / "disk")
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - 700_000))  # a bundle takes more

        version = start_training(client)

        status = model_status(client, "plates", version)

        def message() -> str:
            model = client.describe_model(ProjectName="plates", ModelVersion=version)
            text = str(model["ModelDescription"]["StatusMessage"])
            return "interrupted" if "interrupted" in text and "room" in text else "going on"

        wait_for(message, {"interrupted"}, while_in={"going on"})
        assert list((served.folder / "bundles").iterdir()) == []

        ballast.unlink()
        wait_for(status, {"TRAINED"}, while_in={"TRAINING"})


def test_a_full_disk_refuses_a_change_and_keeps_what_was_there(tmp_path: Path) -> None:
    with served_on_small_disk(tmp_path, size="16m") as served:
        client = served.client()
        source = put_product(served)
        client.create_project(ProjectName="plates")
        client.create_dataset(ProjectName="plates", DatasetType="train", DatasetSource=source)
        status = dataset_status(client, "plates", "train")
        wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
        before = client.list_dataset_entries(ProjectName="plates", DatasetType="train")
        ballast = tmp_path / "disk" / "ballast"
        fill(ballast)

        with pytest.raises(ClientError) as caught:
            client.update_dataset_entries(
                ProjectName="plates",
                DatasetType="train",
                Changes='{"source-ref": "s3://images/plates/0.jpg"}\n' * 2_000,
            )

        error = caught.value.response["Error"]
        assert error["Code"] == "InsufficientStorageException"
        assert "room" in error["Message"]
        after = client.list_dataset_entries(ProjectName="plates", DatasetType="train")
        assert after["DatasetEntries"] == before["DatasetEntries"]
        assert status() == "CREATE_COMPLETE"
        assert list((served.folder / "kept").iterdir()) == []
