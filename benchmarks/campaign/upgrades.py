"""Data directories of released formats, upgraded and restored, with kills at random moments.

    python -m benchmarks.campaign.upgrades [--kills 20] [--seed 1]

Each round takes the directory of an older version as it was, starts a server over it, and kills it
after a random time, so many times; then it starts it once more and compares answers with those of
the version that made it. The same follows with a backup of the upgraded directory: restoring is
killed at random moments until it ends.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.served import SERVE, ServedDirectory, model_status, wait_for
from tests.acceptance.test_old_data_directory import ANSWERS, FIXTURE, detect

LONGEST_START_S = 3.0
CLI = SERVE[:3]


def unpacked(folder: Path) -> Path:
    """Return a copy of the data directory that an older version made."""
    with tarfile.open(FIXTURE / "data.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "data"


def killed(command: list[str], log: Path, *, after_s: float) -> int | None:
    """Run a command and kill it after a time; return its status if it ended before."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            return process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def check(folder: Path, log: Path) -> None:
    """Serve a directory; compare what its models answer with what they answered."""
    served = ServedDirectory(folder, environment={})
    served.log = log
    served.start()
    try:
        for project, images in ANSWERS["detections"].items():
            status = model_status(served.client(), project, "1")
            busy = {"SYSTEM_UPDATING", "HOSTING_FAILED", "STARTING_HOSTING"}
            wait_for(status, {"HOSTED"}, while_in=busy)
            for image, expected in images.items():
                answer = detect(served, project, image)
                assert abs(answer.pop("Confidence") - expected["Confidence"]) < 1e-4, answer
                others = {name: value for name, value in expected.items() if name != "Confidence"}
                assert answer == others, (answer, others)
    finally:
        served.end()


def upgrade(folder: Path, generator: random.Random, *, kills: int) -> Path:
    """Upgrade the old directory amid kills; return it."""
    data, log = unpacked(folder), folder / "upgrade.log"
    for _ in range(kills):
        command = [*SERVE, "--data-dir", str(data)]
        status = killed(command, log, after_s=generator.uniform(0.3, LONGEST_START_S))
        assert status is None, log.read_text()[-2_000:]
    check(data, folder / "upgraded.log")
    return data


def restore(data: Path, folder: Path, generator: random.Random, *, kills: int) -> int:
    """Back up a directory, and restore it amid kills; return how many restores were killed."""
    archive, log = folder / "backup.tar", folder / "restore.log"
    backup = [*CLI, "backup", str(archive), "--with-objects", "--data-dir", str(data)]
    subprocess.run(backup, check=True, capture_output=True)
    restored, count = folder / "restored", 0
    command = [*CLI, "restore", str(archive), "--data-dir", str(restored)]
    for number in range(kills):
        began = time.monotonic()
        status = killed(command, log, after_s=generator.uniform(0.2, LONGEST_START_S))
        if status is not None:
            assert status == 0, (log.read_text()[-2_000:], time.monotonic() - began)
            if number + 1 < kills:
                shutil.rmtree(restored)
            continue
        count += 1
    if not (restored / "blemish.db").exists():
        subprocess.run(command, check=True, capture_output=True)
    for name in ("keyring", "aws"):  # no part of a backup without --with-keys
        shutil.copytree(data / name, restored / name, dirs_exist_ok=True)
    check(restored, folder / "restored.log")
    return count


def main() -> int:
    """Run and print; return 1 if an answer is another one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)  # noqa: S311 - no secret
    began = time.monotonic()
    with TemporaryDirectory(prefix="blemish-upgrades-") as place:
        folder = Path(place)
        data = upgrade(folder, generator, kills=arguments.kills)
        print(f"{arguments.kills} upgrades were killed; the last one answers as before", flush=True)
        count = restore(data, folder, generator, kills=arguments.kills)
        print(f"{count} restores were killed; the last one answers as before")
    print(f"{time.monotonic() - began:,.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
