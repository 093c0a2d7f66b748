"""Coverage-guided fuzzing of what reads bytes of strangers, each parser in its own process.

    python -m benchmarks.campaign.parsers [--seconds 600] [--only manifest]

It needs atheris (https://github.com/google/atheris), which no lock file names: install it into the
environment, or name a folder that has it in PYTHONPATH. Without it, inputs are mutated by chance,
without looking at coverage. An error that a parser does not document is a crash; more than a second
of processor time for each MiB, and one, is a hang.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MAX_BYTES = 65_536
_RUNS = re.compile(r"(?:Done|DONE|stat::number_of_executed_units:)\s+(\d+)|#(\d+)\s")


def fuzz_by_chance(name: str, folder: Path, *, seconds: float) -> int:
    """Mutate the inputs of a folder by chance; return how many were parsed."""
    from benchmarks.campaign.parser_targets import TARGETS  # noqa: PLC0415 - instrumented

    parse = TARGETS[name].parse
    generator = random.Random(1)  # noqa: S311 - no secret
    inputs = [path.read_bytes() for path in sorted(folder.iterdir())]
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        parse(_mutated(generator, inputs))
        count += 1
    return count


def _mutated(generator: random.Random, inputs: list[bytes]) -> bytes:
    data = bytearray(generator.choice(inputs))
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(len(data) + 1)
        match generator.randrange(4):
            case 0:
                data[at : at + 1] = generator.randbytes(1)
            case 1:
                del data[at : at + generator.randint(1, 16)]
            case 2:
                other = generator.choice(inputs)
                start = generator.randrange(len(other) + 1)
                data[at:at] = other[start : start + generator.randint(1, 64)]
            case _:
                data[at : at + 4] = generator.choice(
                    [b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"]
                )
    return bytes(data[:MAX_BYTES])


def fuzz_one(name: str, folder: Path, *, seconds: int) -> None:
    """Fuzz one parser in this process, which ends with it."""
    if importlib.util.find_spec("atheris") is None:
        print(f"DONE {fuzz_by_chance(name, folder, seconds=seconds)} (no atheris: by chance)")
        return
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

    with atheris.instrument_imports(include=["blemish"]):
        from benchmarks.campaign.parser_targets import TARGETS  # noqa: PLC0415 - instrumented

    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=60"]
    options += ["-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(folder)], TARGETS[name].parse)
    atheris.Fuzz()


def run_target(name: str, *, seconds: int) -> dict[str, Any]:
    """Fuzz a parser in a new process; return what came of it."""
    from benchmarks.campaign.parser_targets import TARGETS  # noqa: PLC0415 - instrumented

    with TemporaryDirectory(prefix="blemish-parsers-") as folder:
        for number, seed in enumerate(TARGETS[name].seeds()):
            Path(folder, f"seed-{number}").write_bytes(seed)
        command = [sys.executable, "-m", "benchmarks.campaign.parsers"]
        command += [f"--one={name}", f"--folder={folder}", f"--seconds={seconds}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        counts = [int(match[1] or match[2]) for match in _RUNS.finditer(output)]
        found = next(Path(folder).glob("[!s]*-*"), None)
        crash = found.read_bytes()[:2_000].hex() if found else None
    return {
        "parser": name,
        "seconds": seconds,
        "inputs": max(counts, default=0),
        "failed": done.returncode != 0,
        "exit_status": done.returncode,
        "input_hex": crash,
        "output": output[-3_000:] if done.returncode else "",
    }


def main() -> int:
    """Fuzz and print; return 1 if a parser failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600, help="for each parser")
    parser.add_argument("--only", help="name of the one parser to fuzz")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        fuzz_one(arguments.one, arguments.folder, seconds=arguments.seconds)
        return 0
    from benchmarks.campaign.parser_targets import TARGETS  # noqa: PLC0415 - instrumented

    failed = 0
    for name in [arguments.only] if arguments.only else TARGETS:
        result = run_target(name, seconds=arguments.seconds)
        failed += result["failed"]
        print(json.dumps({key: value for key, value in result.items() if value}), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
