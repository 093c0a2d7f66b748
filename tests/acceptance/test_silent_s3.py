"""Another S3 that stops answering: the rest of the server answers all the same."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.served import ServedDirectory

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

WAITING = 8
"""More requests than the API has threads."""


def test_only_requests_that_need_a_silent_s3_wait_for_it_and_not_for_long(
    serve: Callable[..., ServedDirectory],
) -> None:
    elsewhere = serve()
    key_id, secret = re.findall(r" = (\S+)", (elsewhere.folder / "aws" / "credentials").read_text())
    served = serve(
        BLEMISH_S3_ENDPOINT=elsewhere.endpoint,
        BLEMISH_S3_REGION="us-east-1",
        BLEMISH_S3_ACCESS_KEY_ID=key_id,
        BLEMISH_S3_SECRET_ACCESS_KEY=secret,
    )
    client = served.client(read_timeout=60)
    client.create_project(ProjectName="plates")
    assert elsewhere.process is not None
    codes: list[str] = []

    def train() -> None:
        output = {"S3Location": {"Bucket": "images", "Prefix": "out"}}
        try:
            served.client(read_timeout=60).create_model(ProjectName="plates", OutputConfig=output)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    elsewhere.process.send_signal(signal.SIGSTOP)
    try:
        threads = [threading.Thread(target=train) for _ in range(WAITING)]
        for thread in threads:
            thread.start()
        wait_until_all_wait(served)
        for number in range(5):
            client.create_project(ProjectName=f"other-{number}")
            client.list_projects()
        answered_before = len(codes)
        for thread in threads:
            thread.join()
    finally:
        elsewhere.process.send_signal(signal.SIGCONT)

    assert answered_before == 0  # what needs no S3 did not wait for them
    assert len(codes) == WAITING
    assert set(codes) <= {"ServiceUnavailableException", "InternalServerException"}, codes
    with pytest.raises(ClientError, match="dataset"):  # the S3 answers again
        client.create_model(
            ProjectName="plates", OutputConfig={"S3Location": {"Bucket": "images", "Prefix": "o"}}
        )


def wait_until_all_wait(served: ServedDirectory) -> None:
    """Wait until more requests wait than have a thread."""

    deadline = time.monotonic() + 120
    pattern = r'blemish_requests_waiting\{service="lookoutvision"\} (\S+)'
    while True:
        text = urlopen(f"{served.endpoint}/metrics").read().decode()
        match = re.search(pattern, text)
        if match and float(match[1]) >= WAITING - 4:
            return
        assert time.monotonic() < deadline, text[-500:]
        time.sleep(0.05)
