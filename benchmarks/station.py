"""The station: images at a rate, sinks that go away and come back, and kills at any moment.

    python -m benchmarks.station [--images 1000] [--rate 30] [--kills 20] [--seed 0]
                                 [--results FILE.json]

It fails if an image has no verdict, if a sink lacks a verdict, or if a verdict that was delivered
again has another id.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.surroundings import ROOT
from blemish.engine.bundle import read_bundle
from tests.edge_agents import component_zip
from tests.edge_bundles import CLASSIFICATION, train_edge_bundles
from tests.station_trials import COMPONENT, StationTrial, check_trial


@dataclass(frozen=True, kw_only=True)
class StationFigures:
    """What a trial came to."""

    images: int
    kills: int
    judged: int
    #: of verdicts with one id, which both sinks have
    complete: int
    repeated_to_file: int
    repeated_to_server: int
    duration_s: float


def main() -> int:
    """Run a trial and print its figures; return 1 if something was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks" / "results" / "station.json"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        train_edge_bundles(folder / "bundles")
        archive = folder / "plates.zip"
        bundle = read_bundle(folder / "bundles" / CLASSIFICATION)
        archive.write_bytes(component_zip(bundle, name=COMPONENT))
        trial = StationTrial(
            folder=folder,
            archive=archive,
            images=arguments.images,
            rate_per_s=arguments.rate,
            kills=arguments.kills,
            seed=arguments.seed,
        )
        result = trial.run()
    figures = StationFigures(
        images=trial.images,
        kills=result.kills,
        judged=len(result.records),
        complete=sum(
            len(ids) == 1 and result.file.get(image) == result.server.get(image) == ids
            for image, ids in result.records.items()
        ),
        repeated_to_file=result.file_deliveries - trial.images,
        repeated_to_server=result.server_deliveries - trial.images,
        duration_s=round(result.duration_s, 1),
    )
    print(json.dumps(vars(figures), indent=2))
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(json.dumps(vars(figures), indent=2) + "\n")
    try:
        check_trial(trial, result)
    except AssertionError as error:
        print(f"MISSED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
