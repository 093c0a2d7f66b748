"""Mixed load for an hour: memory and open files of the server must not grow after ten minutes.

    python -m benchmarks.campaign.steady [--minutes 60] [--warm-up 10] [--rate 10]

Detections, changes of a dataset, objects, uploads in parts, listings, refused requests and images
in the console, so many a second.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.exceptions import ClientError

from benchmarks.surroundings import ROOT
from tests.acceptance.lifetime_server import environment_of, prepare
from tests.acceptance.served import BUCKET, ServedDirectory, line, model_status, wait_for
from tests.acceptance.test_s3 import s3_client
from tests.products import draw, png

MODEL = {"ProjectName": "plates", "ModelVersion": "1"}
SAMPLE_S = 5.0
MOST_GROWTH = 0.05
"""Of the memory, from the first to the last third after the warm-up."""
MOST_FILES = 5
"""More open files in the last third than in the first."""


class MixedLoad:
    """Requests of every kind to one server."""

    def __init__(self, served: ServedDirectory, generator: random.Random) -> None:
        self._served = served
        self._random = generator
        self._client = served.client()
        self._s3 = s3_client(served)
        self._numbers = count()
        self._images = [png(draw(number).pixels) for number in range(8)]
        self._cookie = self._signed_in()
        self.failures: Counter[str] = Counter()
        self.kinds: list[Callable[[], object]] = [
            *[self._detect] * 6,
            *[self._put, self._get, self._list, self._describe],
            *[self._upload, self._change, self._refused, self._image],
        ]

    def request(self) -> None:
        """Send one request; an answer of a 5xx counts as a failure."""
        try:
            self._random.choice(self.kinds)()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                self.failures[str(error)[:200]] += 1

    def _detect(self) -> None:
        body = self._random.choice(self._images)
        self._client.detect_anomalies(**MODEL, ContentType="image/png", Body=body)

    def _put(self) -> None:
        size = self._random.choice([1_000, 100_000, 2_000_000])
        key = f"steady/{next(self._numbers) % 50}"
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=self._random.randbytes(size))

    def _get(self) -> None:
        key = f"steady/{self._random.randrange(50)}"
        self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def _list(self) -> None:
        self._s3.list_objects_v2(Bucket=BUCKET)

    def _describe(self) -> None:
        self._client.list_projects()
        self._client.describe_model(**MODEL)

    def _upload(self) -> None:
        name: dict[str, Any] = {"Bucket": BUCKET, "Key": "steady/parts"}
        name["UploadId"] = self._s3.create_multipart_upload(**name)["UploadId"]
        part = self._s3.upload_part(**name, PartNumber=1, Body=self._random.randbytes(100_000))
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self._s3.complete_multipart_upload(**name, MultipartUpload=parts)

    def _change(self) -> None:
        ref = f"s3://{BUCKET}/{self._random.randrange(15)}.png"
        label = self._random.choice(["normal", "anomaly"])
        changes = json.dumps(line(ref, label))
        self._client.update_dataset_entries(
            ProjectName="plates", DatasetType="train", Changes=changes
        )

    def _refused(self) -> None:
        self._client.describe_project(ProjectName="absent")

    def _image(self) -> None:
        query = urlencode({"ref": f"s3://{BUCKET}/{self._random.randrange(15)}.png"})
        self._console("GET", f"/console/thumbnail?{query}", {"cookie": self._cookie})

    def _signed_in(self) -> str:
        text = (self._served.folder / "aws" / "credentials").read_text()
        key_id, secret = re.findall(r" = (\S+)", text)
        form = urlencode({"key": key_id, "secret": secret})
        headers = {"origin": self._served.console}
        headers["content-type"] = "application/x-www-form-urlencoded"
        answer = self._console("POST", "/console/sign-in", headers, form)
        assert answer.status == 303, answer.status
        cookie: str = answer.headers["set-cookie"].partition(";")[0]
        return cookie

    def _console(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Any:
        connection = HTTPConnection(urlsplit(self._served.console).netloc, timeout=60)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status >= 500:
            self.failures[f"{path} {answer.status}"] += 1
        return answer


def measured(pid: int) -> tuple[float, int]:
    """Return the resident memory of a process in MiB, and how many files it has open."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def run(served: ServedDirectory, *, minutes: float, rate: float) -> dict[str, Any]:
    """Send requests for so long; return samples and failures."""
    assert served.process is not None
    load = MixedLoad(served, random.Random(1))  # noqa: S311 - no secret
    began = sampled = time.monotonic()
    samples: list[tuple[float, float, int]] = []
    requests = 0
    while (now := time.monotonic()) < began + minutes * 60:
        load.request()
        requests += 1
        if now - sampled >= SAMPLE_S:
            sampled = now
            samples.append(((now - began) / 60, *measured(served.process.pid)))
        time.sleep(max(0.0, began + requests / rate - time.monotonic()))
    return {"requests": requests, "samples": samples, "failures": dict(load.failures)}


def compared(result: dict[str, Any], *, warm_up: float) -> dict[str, float]:
    """Return medians of the first and the last third of the samples after the warm-up."""
    later = [sample for sample in result["samples"] if sample[0] >= warm_up]
    third = max(1, len(later) // 3)
    values = {}
    for name, column in (("mib", 1), ("files", 2)):
        values[f"first_{name}"] = statistics.median(sample[column] for sample in later[:third])
        values[f"last_{name}"] = statistics.median(sample[column] for sample in later[-third:])
    return values


def main() -> int:
    """Run and print; return 1 if memory or files grow, or a request failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=10)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/steady.json")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="blemish-steady-") as folder:
        prepared = Path(folder, "prepared")
        prepare(prepared)
        served = ServedDirectory(
            Path(folder, "data"), environment=environment_of(prepared), content=prepared
        )
        served.start()
        client = served.client()
        client.start_model(**MODEL, MinInferenceUnits=1)
        wait_for(model_status(client, "plates", "1"), {"HOSTED"}, while_in={"STARTING_HOSTING"})
        result = run(served, minutes=arguments.minutes, rate=arguments.rate)
        served.end()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(result) + "\n")
    values = compared(result, warm_up=arguments.warm_up)
    print(f"{result['requests']:,} requests in {arguments.minutes:g} minutes", result["failures"])
    print({name: round(value, 1) for name, value in values.items()})
    grows = values["last_mib"] > values["first_mib"] * (1 + MOST_GROWTH)
    leaks = values["last_files"] > values["first_files"] + MOST_FILES
    return int(grows or leaks or bool(result["failures"]))


if __name__ == "__main__":
    sys.exit(main())
