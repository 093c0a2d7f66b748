"""The script in docs/guide/bundle.md gives the server's answer."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from blemish.engine.bundle import read_bundle
from blemish.engine.runtime import Detection, Detector
from tests.products import LIMITS, SIZE, draw

GUIDE = Path(__file__).parents[2] / "docs/guide/bundle.md"


def script() -> str:
    """Return the guide's one Python block."""
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def jpeg(seed: int, *anomaly_types: str, size: tuple[int, int] = SIZE) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(seed, *anomaly_types, size=size).pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def lines(detection: Detection, names: tuple[str, ...]) -> list[tuple[str, float]]:
    verdict = ("anomalous" if detection.is_anomalous else "normal", detection.confidence)
    shares = {area.name: area.share for area in detection.anomalies or ()}
    return [verdict, *((name, shares.get(name, 0.0)) for name in names)]


def test_the_script_takes_seventeen_lines() -> None:
    assert len([line for line in script().splitlines() if line.strip()]) == 17


@pytest.mark.parametrize(
    ("anomaly_types", "size"),
    [((), SIZE), (("stain",), SIZE), (("stain", "hole"), SIZE), (("stain",), (1_200, 800))],
)
@pytest.mark.parametrize("kind", ["segmenting", "classifying"])
def test_the_script_gives_the_servers_answer(
    kind: str,
    anomaly_types: tuple[str, ...],
    size: tuple[int, int],
    bundles: dict[str, Path],
    tmp_path: Path,
) -> None:
    detector = Detector.load(read_bundle(bundles[kind]), threads=1)
    data = jpeg(41, *anomaly_types, size=size)
    (tmp_path / "image.jpg").write_bytes(data)
    (tmp_path / "script.py").write_text(script())

    printed = subprocess.run(
        [sys.executable, tmp_path / "script.py", bundles[kind], tmp_path / "image.jpg"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    detection = detector.detect(data, limits=LIMITS, mixed_sizes=True)
    expected = lines(detection, detector.names if kind == "segmenting" else ())
    answers = [line.rsplit(" ", 1) for line in printed.splitlines()]
    assert [name for name, _ in answers] == [name for name, _ in expected]
    assert [float(value) for _, value in answers] == pytest.approx(
        [value for _, value in expected], abs=1e-4
    )
