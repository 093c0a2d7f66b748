"""How fast S3 takes and gives objects, beside what hashing and syncing cost on this machine.

    python -m benchmarks.s3 [--rounds 5] [--long] [--results FILE.json]

A PUT has to compute MD5 and SHA-256 of what comes, and a small one waits for the disk: each is
timed in turn with that alone, and the ratio holds where the machine's speed drifts. `--long` adds
an object of 5 GB, a folder of 1,000 files by the AWS CLI, and 200 sequences beside moto's server.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from benchmarks.surroundings import ROOT
from tests.acceptance.beside_moto import client_of, unlike
from tests.acceptance.moto import moto_client, moto_server
from tests.acceptance.registry import kept_environment, run
from tests.acceptance.served import BUCKET, ServedDirectory, aws_files, environment

MB = 1_000_000
SMALL = 1_000
SMALL_PUTS = 100
LARGE_BYTES = 5_000 * MB
FILES = 1_000
SEQUENCES = 200


@contextmanager
def serving(folder: Path) -> Iterator[ServedDirectory]:
    """Serve a new folder until the end of the context."""
    served = ServedDirectory(folder / "data", environment={})
    served.start()
    try:
        yield served
    finally:
        served.end()


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(calls: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Run all in turn, once to warm up; return the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: statistics.median(each[1:]) for name, each in times.items()}


class Hashed(S3SigV4Auth):  # type: ignore[misc]
    """Signs a body whose SHA-256 is known beforehand, so that the client has nothing to compute."""

    def __init__(self, client: Any, body: bytes) -> None:
        super().__init__(client._request_signer._credentials, "s3", "us-east-1")  # noqa: SLF001
        self._sha256 = hashlib.sha256(body).hexdigest()

    def payload(self, _: AWSRequest) -> str:
        """Return the hash of the body, in hexadecimal digits."""
        return self._sha256


def bare_put(served: ServedDirectory, client: Any, body: bytes) -> Callable[[], None]:
    """Return what puts a body by HTTP alone."""
    address = urlsplit(served.endpoint).netloc
    connection, signer = HTTPConnection(address), Hashed(client, body)

    def put() -> None:
        connection.close()  # the server ends connections that were idle for some seconds
        request = AWSRequest("PUT", f"{served.endpoint}/{BUCKET}/bare", headers={"Host": address})
        signer.add_auth(request)
        connection.request("PUT", f"/{BUCKET}/bare", body, dict(request.headers))
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    return put


def throughput(served: ServedDirectory, *, rounds: int) -> dict[str, float]:
    """Return the rates of 100 MB, in MB a second, and what share they are of the hashes' rate.

    boto3 hashes the body as well before it sends the first byte; a bare PUT shows the server alone.
    """
    s3, data = client_of(served), os.urandom(100 * MB)

    def hashed() -> None:
        hashlib.md5(data, usedforsecurity=False).digest()
        hashlib.sha256(data).digest()

    def got() -> None:
        body = s3.get_object(Bucket=BUCKET, Key="large")["Body"]
        for _ in body.iter_chunks(1024 * 1024):
            pass

    calls = {
        "hashes": hashed,
        "put": bare_put(served, s3, data),
        "boto3_put": lambda: s3.put_object(Bucket=BUCKET, Key="large", Body=data),
        "get": got,
    }
    took = in_turn(calls, rounds=rounds)
    rates = {f"{name}_mb_per_s": 100 / each for name, each in took.items()}
    ratios = {
        f"{name}_over_hashes": took["hashes"] / took[name] for name in calls if name != "hashes"
    }
    return rates | ratios


def small_puts(served: ServedDirectory, *, rounds: int) -> dict[str, float]:
    """Return the rates of small PUTs and of bare synced files on the same disk, a second."""
    s3, body = client_of(served), os.urandom(SMALL)
    path = served.folder / "synced"

    def synced() -> None:
        with path.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

    calls = {
        "fsyncs": synced,
        "puts": bare_put(served, s3, body),
        "boto3_puts": lambda: s3.put_object(Bucket=BUCKET, Key="small", Body=body),
    }
    took = in_turn(calls, rounds=SMALL_PUTS * rounds)
    path.unlink()
    rates = {f"small_{name}_per_s": 1 / each for name, each in took.items()}
    return rates | {"small_puts_over_fsyncs": took["fsyncs"] / took["puts"]}


class Generated(io.RawIOBase):
    """A file of so many bytes that is nowhere: the same MB again and again."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self._size = size_bytes
        self._at = 0
        self._block = os.urandom(MB)

    def checked_unicode(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        start = self._at % MB
        count = min(len(buffer), MB - start, self._size - self._at)
        buffer[:count] = self._block[start : start + count]
        self._at += count
        return count


def peak_mib(served: ServedDirectory) -> float:
    """Return the most memory that the server process has had so far."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def large_object(served: ServedDirectory) -> dict[str, float]:
    """Send 5 GB in parts and read them back; return times, and the memory that they took."""
    s3 = client_of(served)
    s3.list_buckets()
    before = peak_mib(served)
    few = TransferConfig(multipart_chunksize=16 * 1024 * 1024, max_concurrency=2)
    source = io.BufferedReader(Generated(LARGE_BYTES), MB)
    put_s = seconds(lambda: s3.upload_fileobj(source, BUCKET, "huge", Config=few))
    came = 0

    def get() -> None:
        nonlocal came
        for chunk in s3.get_object(Bucket=BUCKET, Key="huge")["Body"].iter_chunks(1024 * 1024):
            came += len(chunk)

    get_s = seconds(get)
    assert came == LARGE_BYTES
    after = peak_mib(served)
    s3.delete_object(Bucket=BUCKET, Key="huge")
    return {
        "5_gb_put_s": put_s,
        "5_gb_get_s": get_s,
        "5_gb_memory_mib": after - before,
        "5_gb_peak_of_the_process_mib": after,
    }


def synced_folder(served: ServedDirectory, folder: Path) -> dict[str, float]:
    """Have the AWS CLI sync 1,000 files there and back; return how long it took."""
    python = kept_environment(ROOT / "requirements-s3-clients.lock", folder=".venv-s3-clients")
    here, there = folder / "here", folder / "there"
    here.mkdir()
    for number in range(FILES):
        (here / f"{number:04}").write_bytes(os.urandom(SMALL))
    sync = partial(
        run,
        python,
        python.with_name("aws"),
        "s3",
        "sync",
        environment=environment(folder, **aws_files(served)),
    )
    up_s = seconds(lambda: sync(here, f"s3://{BUCKET}/synced"))
    down_s = seconds(lambda: sync(f"s3://{BUCKET}/synced", there))
    same = all((there / each.name).read_bytes() == each.read_bytes() for each in here.iterdir())
    return {"sync_up_s": up_s, "sync_down_s": down_s, "sync_is_the_same": float(same)}


def beside_moto(served: ServedDirectory, folder: Path) -> dict[str, float]:
    """Play the random sequences to both servers; return how many answers were unlike."""
    with moto_server(folder / "moto.log") as url:
        ours, moto = client_of(served), moto_client(url)
        found = [line for seed in range(SEQUENCES) for line in unlike(seed, ours=ours, moto=moto)]
    for line in found:
        print(line)
    return {"sequences_beside_moto": SEQUENCES, "answers_unlike_moto": len(found)}


def measure(*, rounds: int, long: bool) -> Iterator[dict[str, float]]:
    """Yield what was measured, part by part."""
    with TemporaryDirectory() as place, serving(Path(place)) as served:
        if long:  # first: the peak of memory is that of all that came before
            yield large_object(served)
        yield throughput(served, rounds=rounds)
        yield small_puts(served, rounds=rounds)
        if long:
            yield synced_folder(served, Path(place))
            yield beside_moto(served, Path(place))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/s3.json")
    arguments = parser.parse_args()
    measured: dict[str, float] = {}
    for part in measure(rounds=arguments.rounds, long=arguments.long):
        measured |= part
        for name, value in part.items():
            print(f"{name:30} {value:10.2f}", flush=True)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
