"""A station process: killed, started twice, ended by a signal."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blemish.edge.components import ComponentFolder
from blemish.engine.bundle import read_bundle
from blemish.engine.images.decode import ImageLimits
from blemish.engine.runtime import Detector
from blemish.station.config import StationModel
from blemish.station.errors import StationError, UnreadableError
from blemish.station.images import CapturedImage
from blemish.station.judge import REFRESH_S, Judge
from tests.edge_agents import component_zip
from tests.edge_bundles import CLASSIFICATION, SEGMENTATION
from tests.products import draw, png
from tests.station_trials import COMMAND, COMPONENT, StationProcess, StationTrial, check_trial
from tests.unit.station.captured import captured

pytestmark = pytest.mark.acceptance

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path, edge_bundles: Path) -> Path:
    """The zip of a component."""
    path = tmp_path / "plates.zip"
    path.write_bytes(component_zip(read_bundle(edge_bundles / CLASSIFICATION), name=COMPONENT))
    return path


def test_no_kill_loses_an_image_or_a_verdict(tmp_path: Path, archive: Path) -> None:
    trial = StationTrial(folder=tmp_path, archive=archive, images=40, rate_per_s=30, kills=3)

    result = trial.run()

    check_trial(trial, result)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_kill_of_twenty_loses_one_of_a_thousand_images(tmp_path: Path, archive: Path) -> None:
    trial = StationTrial(folder=tmp_path, archive=archive, images=1_000, rate_per_s=30, kills=20)

    result = trial.run()

    check_trial(trial, result)


def test_a_directory_has_one_station_and_a_signal_ends_it(tmp_path: Path, archive: Path) -> None:
    trial = StationTrial(folder=tmp_path, archive=archive, images=0, rate_per_s=1, kills=0)
    station = StationProcess(folder=tmp_path, config=trial._prepare(1))
    station.start()
    station.wait_until_it_runs()

    second = subprocess.run(
        [*COMMAND, str(tmp_path / "station.toml")], capture_output=True, text=True, check=False
    )

    assert second.returncode == 1
    assert second.stderr.endswith(
        f"Another station runs in {tmp_path}/station. Stop it, or set another directory.\n"
    )
    assert station.end() == 0


def install(folder: Path, bundle: Path, *, version: str) -> None:
    data = component_zip(read_bundle(bundle), name=COMPONENT, version=version)
    path = folder / "component.zip"
    path.write_bytes(data)
    with path.open("rb") as archive:
        ComponentFolder(folder / "components").install(archive, autostart=None)


@pytest.mark.parametrize("name", [CLASSIFICATION, SEGMENTATION])
def test_a_verdict_is_that_of_the_server(tmp_path: Path, edge_bundles: Path, name: str) -> None:
    install(tmp_path, edge_bundles / name, version="1.0.0")
    model = StationModel(component=COMPONENT, components=tmp_path / "components")
    judge = Judge(model, now=lambda: NOW)
    detector = Detector.load(read_bundle(edge_bundles / name), threads=1)
    limits = ImageLimits(min_side=16, max_side=4_096, max_pixels=10_000_000)
    pixels = draw(2_001, "stain").pixels
    expected = detector.detect(png(pixels), limits=limits, mixed_sizes=False)

    for content in (png(pixels), pixels):
        image: CapturedImage = captured(content=content)
        verdict, _ = judge.judge(image)

        assert verdict.is_anomalous == expected.is_anomalous
        assert verdict.score == pytest.approx(expected.score, abs=1e-4)
        assert verdict.confidence == pytest.approx(expected.confidence, abs=1e-4)
        assert [(area.name, area.share) for area in verdict.anomalies] == [
            (area.name, area.share)
            for area in expected.anomalies or ()
            if area.name != "background"
        ]
        assert (verdict.id, verdict.time, verdict.component) == (image.id, NOW, COMPONENT)


def test_a_judge_takes_a_new_version_and_refuses_what_is_no_image(
    tmp_path: Path, edge_bundles: Path
) -> None:
    model = StationModel(component=COMPONENT, components=tmp_path / "components")
    moments = iter(range(100))
    with pytest.raises(StationError, match="No component plates is installed"):
        Judge(model, now=lambda: NOW)
    install(tmp_path, edge_bundles / CLASSIFICATION, version="1.0.0")
    judge = Judge(model, now=lambda: NOW, clock=lambda: next(moments) * REFRESH_S)
    install(tmp_path, edge_bundles / CLASSIFICATION, version="1.0.1")

    with pytest.raises(UnreadableError):
        judge.judge(captured(content=b"no image"))
    with pytest.raises(UnreadableError):
        judge.judge(captured(content=png(draw(1, size=(128, 128)).pixels)))
    verdict, _ = judge.judge(captured(content=png(draw(1).pixels)))

    assert verdict.component_version == "1.0.1"
