"""TLS as a user meets it: by the files alone, and renewed while the server runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.served import SERVE, ServedDirectory, aws_files, environment
from tests.certificates import made, write

pytestmark = pytest.mark.acceptance

PROGRAM = """
import boto3, io
s3 = boto3.client("s3")
s3.create_bucket(Bucket="over-tls")
s3.upload_fileobj(io.BytesIO(bytes(9_000_000)), "over-tls", "large")
print(len(s3.get_object(Bucket="over-tls", Key="large")["Body"].read()))
print(boto3.client("lookoutvision").list_projects()["Projects"])
"""
LIST = """
import boto3
print(boto3.client("lookoutvision").list_projects()["Projects"])
"""


def run(served: ServedDirectory, program: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that knows the server by the files in DIR/aws alone."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment(home, **aws_files(served), AWS_MAX_ATTEMPTS="1"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_clients_get_in_by_the_files_alone_also_once_the_certificate_is_renewed(
    serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    certificate, key = write(tmp_path, made("localhost"))
    served = serve(BLEMISH_TLS_CERT=str(certificate), BLEMISH_TLS_KEY=str(key))
    assert served.endpoint.startswith("https://localhost:")
    trusted = served.folder / "aws" / "ca.pem"
    before = trusted.read_bytes()

    first = run(served, PROGRAM, tmp_path)
    write(tmp_path, made("127.0.0.1"))
    deadline = time.monotonic() + 20
    while trusted.read_bytes() == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    second = run(served, LIST, tmp_path)

    assert first.stdout.split() == ["9000000", "[]"], first.stderr
    assert "https://127.0.0.1:" in (served.folder / "aws" / "config").read_text()
    assert second.stdout.split() == ["[]"], second.stderr
    assert served.end() == 0
    assert "Traceback" not in served.log.read_text()


def test_one_whom_another_vouches_for_needs_no_file_of_ours(
    serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    authority = made("factory", authority=True)
    certificate, key = write(tmp_path, made("localhost", by=authority))
    served = serve(BLEMISH_TLS_CERT=str(certificate), BLEMISH_TLS_KEY=str(key))

    refused = run(served, LIST, tmp_path)
    known = tmp_path / "known.pem"
    known.write_bytes(authority.pem())
    taken = subprocess.run(
        [sys.executable, "-c", LIST],
        env=environment(tmp_path, **aws_files(served), AWS_CA_BUNDLE=known),
        capture_output=True,
        text=True,
        check=False,
    )

    assert not (served.folder / "aws" / "ca.pem").exists()
    assert "SSLError" in refused.stderr
    assert taken.stdout.split() == ["[]"], taken.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_that_others_reach_is_refused_without_tls(tmp_path: Path, host: str) -> None:
    command = [*SERVE, "--data-dir", str(tmp_path / "data"), "--host", host]

    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert refused.returncode == 2
    assert f"{host}: other machines could read" in refused.stderr
    assert "--tls-cert" in refused.stderr
    assert "--insecure" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_is_taken_with_insecure_or_with_tls(
    serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    certificate, key = write(tmp_path, made("localhost"))

    insecure = serve(BLEMISH_HOST="0.0.0.0", BLEMISH_INSECURE="true")
    protected = serve(
        BLEMISH_HOST="::", BLEMISH_TLS_CERT=str(certificate), BLEMISH_TLS_KEY=str(key)
    )

    for served in (insecure, protected):
        answer = run(served, LIST, tmp_path)
        assert answer.stdout.split() == ["[]"], answer.stderr


def test_a_file_that_is_no_key_of_the_certificate_ends_the_start(tmp_path: Path) -> None:
    certificate, _ = write(tmp_path, made("localhost"))
    other = tmp_path / "other.key"
    other.write_bytes(made("localhost").key_pem())
    command = [*SERVE, "--data-dir", str(tmp_path / "data"), "--tls-cert", str(certificate)]

    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = subprocess.run(
        [*command, "--tls-key", str(other)], capture_output=True, text=True, check=False
    )

    assert (alone.returncode, wrong.returncode) == (2, 2)
    assert "give both or neither" in alone.stderr
    assert "is not the key of" in wrong.stderr
    assert "Traceback" not in alone.stderr + wrong.stderr
