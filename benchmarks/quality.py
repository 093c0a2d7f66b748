"""How well the engine detects, over repeated splits by group, and anomalib beside it.

    python -m benchmarks.quality [FOLDER ...] [--backbone NAME|FILE.onnx ...] [--full | --peers |
        --trained-peers]
        [--minutes N] [--results FILE.jsonl]

Without folders, every set of the shared images. A folder of MVTec AD, MPDD, BTAD, VisA or
KolektorSDD, or of one of its categories, is measured on its own split, on all of its images. Each
trial is one training in a process of its own, and one line of the results, in which a run that was
cut off is taken up again. `--full` draws labels ten times and has three seeds; `--peers` tries
normal images alone, beside PatchCore and PaDiM, which a full run has too where they are installed.
`--trained-peers` adds EfficientAD and Dinomaly, which anomalib trains for hours on a CPU, with
weights that it downloads. The tables are printed as Markdown, and written beside the results as
JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from subprocess import CalledProcessError
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.quality_plan import (
    FULL,
    NORMALS,
    QUICK,
    Trial,
    expanded,
    find_sets,
    is_public,
    plan,
)
from benchmarks.quality_tables import PEERS, TRAINED_PEERS, markdown, of_trial, summarize
from benchmarks.quality_trial import try_engine, try_peer
from benchmarks.speed import convolutions
from benchmarks.surroundings import PEER_PYTHON, PRETRAINED, ROOT, SHARED, backbone_source
from blemish.engine.backbones.installed_weights import default_backbone
from blemish.engine.errors import EngineError

QUICK_MINUTES = 8.0

LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")
BLEMISH = ROOT / "src/blemish"
OURS = tuple(
    ROOT / "benchmarks" / f"{name}.py"
    for name in (
        "aupro",
        "folders",
        "measures",
        "public_sets",
        "quality_plan",
        "quality_trial",
        "splits",
        "surroundings",
    )
)
"""What makes a trial, whichever detector it has."""

DOMAIN = tuple(sorted((BLEMISH / "domain").rglob("*.py")))
SOURCES = (
    *OURS,
    *DOMAIN,
    *sorted((BLEMISH / "engine").rglob("*.py")),
)
PEER_SOURCES = (
    *OURS,
    *DOMAIN,
    *sorted((BLEMISH / "engine" / "images").glob("*.py")),
    BLEMISH / "engine" / "metrics.py",
    BLEMISH / "engine" / "training" / "labeled_images.py",
    *(ROOT / "benchmarks" / f"{name}.py" for name in ("quality_peer", "speed_peer")),
    ROOT / "requirements-peers.lock",
)
"""The peers' trials take hours, and of the engine only what reads masks and compares maps."""

FAILURES = (CalledProcessError, BrokenProcessPool, EngineError)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The detectors that are tried."""

    #: name -> file, or name of a packaged backbone
    backbones: Mapping[str, Path | str]
    #: whose weights the peers have
    peer_backbone: Path
    #: the peers' .npz file of weights
    peer_weights: Path
    extent: str
    #: name -> version of what the engine computes with
    libraries: Mapping[str, str]

    def run(self, trial: Trial) -> dict[str, Any]:
        """Make one trial."""
        if trial.detector in (*PEERS, *TRAINED_PEERS):
            return try_peer(trial, PEER_PYTHON, self.peer_weights)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(try_engine, trial, self.backbones[trial.detector]).result()

    def keys(self, trials: Sequence[Trial]) -> Iterator[dict[str, Any]]:
        """Yield the key of each trial; it changes with what the trial's result depends on.

        That is its images, the sources, the backbone and the libraries; how fast and how large
        the machine is does not count.
        """
        sources = {
            name: digest([*SOURCES, *([source] if isinstance(source, Path) else [])])
            for name, source in self.backbones.items()
        }
        sources |= dict.fromkeys(
            (*PEERS, *TRAINED_PEERS), digest([*PEER_SOURCES, self.peer_backbone])
        )
        libraries = sorted(self.libraries.items())
        for trial in trials:
            its = repr((sources[trial.detector], libraries, trial.content)).encode()
            yield trial.key(extent=self.extent, version=sha256(its).hexdigest()[:12])


def digest(files: Sequence[Path]) -> str:
    """Return a short hash of what files hold; one that is absent is empty."""
    found = sha256()
    for file in files:
        found.update(sha256(file.read_bytes() if file.is_file() else b"").digest())
    return found.hexdigest()[:12]


def read_records(results: Path) -> list[dict[str, Any]]:
    """Return the trials that were finished; a line that was cut off is none."""
    records = []
    for line in results.read_text(encoding="utf-8").splitlines() if results.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append_record(results: Path, record: Mapping[str, Any]) -> None:
    """Add a finished trial, on a line of its own even after one that was cut off."""
    with results.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            cut_off = file.read(1) != b"\n"
        else:
            cut_off = False
        file.write(b"\n" * cut_off + json.dumps(record).encode() + b"\n")


def run_trials(
    trials: Sequence[tuple[Trial, dict[str, Any]]],
    run: Callable[[Trial], dict[str, Any]],
    results: Path,
    *,
    minutes: float | None,
) -> tuple[list[dict[str, Any]], int]:
    """Make the trials that are not in the results, until the time is up.

    Args:
        trials: with their keys.
        run: makes one.
        results: a JSON Lines file; a trial that fails leaves no line.
        minutes: after which no other is begun.

    Returns:
        the records of all of these trials that there are, and how many failed.
    """
    done = {_name(record): record for record in read_records(results)}
    began, failed = time.monotonic(), 0
    for number, (trial, key) in enumerate(trials, start=1):
        if _name(key) in done:
            continue
        if minutes is not None and time.monotonic() - began > 60 * minutes:
            print(f"{minutes:g} minutes are up: the same command goes on from here.")
            break
        told = f"[{number}/{len(trials)}] " + ", ".join(str(key[its]) for its in _TOLD)
        try:
            record = key | run(trial)
        except FAILURES as error:
            failed += 1
            print(f"{told}: {type(error).__name__}: {error}", flush=True)
            continue
        append_record(results, record)
        done[_name(key)] = record
        auroc = of_trial(record)["image_auroc"] or 0.0
        print(f"{told}: AUROC {auroc:.3f}, {record['training_s']:.1f} s", flush=True)
    return [done[_name(key)] for _, key in trials if _name(key) in done], failed


_TOLD = ("set", "detector", "arm", "split", "draw", "seed")


def _name(key: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(key[its] for its in (*_TOLD, "extent", "version"))


def main() -> int:
    """Measure what the command line asks for; return how many trials failed."""
    arguments = _arguments()
    folders = expanded(arguments.folders) or (find_sets(SHARED / "data") if SHARED.is_dir() else [])
    if not folders:
        print(f"{SHARED} is absent: set BLEMISH_SHARED to the shared images, or name folders.")
        return 1
    sources = arguments.backbone or ([PRETRAINED] if PRETRAINED.is_file() else [])
    files = [source for source in sources if isinstance(source, Path)]
    asked = arguments.full or arguments.peers or arguments.trained_peers
    with_peers = asked and bool(files)
    if with_peers and not PEER_PYTHON.is_file():
        print(f"{PEER_PYTHON} is absent: measured without anomalib. `make bench-peers` makes it.")
        with_peers = False
    extent = FULL if arguments.full else QUICK
    minutes = QUICK_MINUTES if arguments.minutes is None and not asked else arguments.minutes

    with TemporaryDirectory() as temporary:
        weights = Path(temporary, "weights.npz")
        if with_peers:
            np.savez(weights, *convolutions(files[0]))
        bench = Bench(
            backbones={default_backbone(): default_backbone()}
            | {Path(source).stem: source for source in sources},
            peer_backbone=files[0] if files else Path(),
            peer_weights=weights,
            extent=extent.name,
            libraries={name: version(name) for name in LIBRARIES},
        )
        peers = PEERS + (TRAINED_PEERS if arguments.trained_peers else ()) if with_peers else ()
        trials = plan(folders, list(bench.backbones), peers, extent)
        if arguments.peers or arguments.trained_peers:
            trials = [trial for trial in trials if trial.arm == NORMALS]
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        keyed = list(zip(trials, bench.keys(trials), strict=True))
        records, failed = run_trials(keyed, bench.run, arguments.results, minutes=minutes)
    summary = summarize(records)
    arguments.results.with_suffix(".json").write_text(json.dumps(summary, indent=2) + "\n")
    caps = "" if all(map(is_public, folders)) else f"; {_capped(extent)}"
    print(f"\n{len(records)} of {len(trials)} trials{caps}\n\n{markdown(summary)}")
    return failed


def _capped(extent: Any) -> str:
    """Say how many images of a label take part at most."""
    anomalies = "all" if extent.train_anomaly is None else f"{extent.train_anomaly}"
    return (
        f"in training at most {extent.train_normal} normal images and {anomalies} anomalies, "
        f"in the test at most {extent.test} of each."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--backbone", type=backbone_source, action="append")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--full", action="store_true")
    extent.add_argument("--peers", action="store_true")
    extent.add_argument("--trained-peers", action="store_true")
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"after which no trial begins; without it a quick run ends after {QUICK_MINUTES}",
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/quality.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
