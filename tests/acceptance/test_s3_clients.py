"""S3 by clients other than our own boto3: the newest one, the AWS CLI, s3fs and obstore."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.registry import ROOT, kept_environment, run
from tests.acceptance.served import BUCKET, ServedDirectory, aws_files, environment
from tests.certificates import made as made_certificate
from tests.certificates import write as write_certificate

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]

HERE = Path(__file__).parent
BOTO3_LOCK = ROOT / "requirements-current-boto3.lock"
CLIENTS_LOCK = ROOT / "requirements-s3-clients.lock"
FILES = 30


@pytest.fixture(scope="module")
def newer_python() -> Path:
    """The interpreter of an environment with a current boto3 alone."""
    return kept_environment(BOTO3_LOCK, folder=".venv-boto3-current")


@pytest.fixture(scope="module")
def clients_python() -> Path:
    """The interpreter of an environment with the other clients."""
    return kept_environment(CLIENTS_LOCK, folder=".venv-s3-clients")


class Cli:
    """The AWS CLI in the environment of its user."""

    def __init__(self, python: Path, surroundings: dict[str, str], folder: Path) -> None:
        self.aws = python.with_name("aws")
        self.surroundings = surroundings
        self.folder = folder

    def s3(self, *arguments: str) -> str:
        """Run `aws s3` in the folder; it must succeed. Return what it prints."""
        return run(
            self.aws.with_name("python"),
            self.aws,
            "s3",
            *arguments,
            folder=self.folder,
            environment=self.surroundings,
        )


@pytest.fixture
def cli(clients_python: Path, served: ServedDirectory, tmp_path: Path) -> Cli:
    """The AWS CLI, which knows the server by the two files alone, in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Cli(clients_python, environment(tmp_path, **aws_files(served)), folder)


def test_the_newest_boto3_does_all_that_programs_do(
    newer_python: Path, served: ServedDirectory, tmp_path: Path
) -> None:
    surroundings = environment(tmp_path, **aws_files(served))

    program = (newer_python, "-W", "error", HERE / "s3_by_boto3.py", tmp_path)
    told = json.loads(run(*program, environment=surroundings))

    assert f"boto3=={told['boto3']} " in BOTO3_LOCK.read_text()
    assert (told["file"], told["type"], told["large"]) == (True, "image/png", True)
    large = (served.folder / "buckets" / "journey" / "large").read_bytes()
    assert told["etags"] == [in_parts(large, 8), in_parts(large, 16)]
    by_twos = [["pages/0", "pages/1"], ["pages/2", "pages/3"], ["pages/4"]]
    assert told["pages"] == {
        "list_objects": by_twos,
        "list_objects_v2": by_twos,
        "list_parts": [[1, 2], [3]],
        "list_multipart_uploads": [["open/0", "open/1"]],
        "list_buckets": [[BUCKET, "journey"], ["other-1", "other-2"]],
    }
    assert told["links"] == [200, "data"]


def in_parts(data: bytes, part_mib: int) -> str:
    """Return the ETag of an object that came in parts."""
    size = part_mib * 1024 * 1024
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'


def test_the_cli_copies_a_file_there_and_back(cli: Cli, served: ServedDirectory) -> None:
    image = cli.folder / "a b ä.png"
    image.write_bytes(bytes(range(256)) * 50_000)

    cli.s3("mb", "s3://made-by-cli")
    cli.s3("cp", image.name, "s3://made-by-cli/plates/")
    cli.s3("cp", f"s3://made-by-cli/plates/{image.name}", "s3://made-by-cli/copy.png")
    cli.s3("cp", "s3://made-by-cli/copy.png", "back.png")

    assert (cli.folder / "back.png").read_bytes() == image.read_bytes()
    listed = cli.s3("ls", "s3://made-by-cli")
    assert "PRE plates/" in listed
    assert f"{image.stat().st_size} copy.png" in listed
    assert "made-by-cli" in cli.s3("ls")
    assert (served.folder / "buckets/made-by-cli/plates" / image.name).is_file()


def test_the_cli_syncs_a_folder_both_ways_and_removes_it(cli: Cli, served: ServedDirectory) -> None:
    here, there = cli.folder / "here", cli.folder / "there"
    for number in range(FILES):
        file = here / f"{number % 3}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(number) * number)
        os.utime(file, (1_700_000_000, 1_700_000_000))  # S3 tells times in whole seconds

    cli.s3("sync", "here", f"s3://{BUCKET}/synced")
    cli.s3("sync", f"s3://{BUCKET}/synced", "there")
    again = cli.s3("sync", "here", f"s3://{BUCKET}/synced")
    (served.bucket / "synced" / "by-hand.txt").write_text("put by hand")
    newer = cli.s3("sync", f"s3://{BUCKET}/synced", "there")
    removed = cli.s3("rm", "--recursive", f"s3://{BUCKET}/synced")

    assert again == ""
    assert [line for line in newer.splitlines() if "by-hand.txt" in line]
    assert (there / "by-hand.txt").read_text() == "put by hand"
    (there / "by-hand.txt").unlink()
    assert contents(there) == contents(here)
    assert removed.count("delete: ") == FILES + 1
    assert contents(served.bucket) == {}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by their paths in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_cli_trusts_a_certificate_by_the_two_files_alone(
    clients_python: Path, serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path, made_certificate("localhost"))
    served = serve(BLEMISH_TLS_CERT=str(certificate), BLEMISH_TLS_KEY=str(key))
    (tmp_path / "note.txt").write_text("over TLS")
    cli = Cli(clients_python, environment(tmp_path, **aws_files(served)), tmp_path)

    cli.s3("cp", "note.txt", f"s3://{BUCKET}/note.txt")

    assert served.endpoint.startswith("https://localhost:")
    assert (served.bucket / "note.txt").read_text() == "over TLS"


def test_a_link_that_the_cli_signs_needs_no_key(cli: Cli, served: ServedDirectory) -> None:
    served.put("a b", b"data")

    link = cli.s3("presign", f"s3://{BUCKET}/a b").strip()

    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"data"


def test_the_cli_tells_what_is_missing(cli: Cli) -> None:
    ended = subprocess.run(
        [cli.aws, "s3", "ls", "s3://no-such-bucket"],
        env=cli.surroundings,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "(NoSuchBucket)" in ended.stderr


def test_s3fs_and_obstore_use_it_as_an_s3_store(
    clients_python: Path, served: ServedDirectory, tmp_path: Path
) -> None:
    surroundings = environment(tmp_path, **aws_files(served))

    told = json.loads(run(clients_python, HERE / "s3_by_file_systems.py", environment=surroundings))

    assert told["s3fs"] == {
        "found": [f"file-systems/fs/{name}" for name in ("deep/moved", "large", "small")],
        "listed": [f"file-systems/fs/{name}" for name in ("deep", "large", "small")],
        "end": True,
        "whole": True,
        "left": [],
    }
    assert told["obstore"] == {
        "found": ["os/deep/moved", "os/large", "os/small"],
        "listed": ["os/deep"],
        "range": True,
        "whole": True,
        "created": False,
        "type": "text/plain",
        "left": [],
    }
