"""`blemish demo` as a stranger runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blemish.demo.demo import DemoError, run_demo
from blemish.demo.sample_product import COLORS, draw_product, jpeg
from tests.acceptance.served import ServedDirectory

pytestmark = pytest.mark.acceptance

NOWHERE = "http://127.0.0.1:1"
LEADS_ELSEWHERE = {
    "ALL_PROXY": NOWHERE,
    "AWS_ACCESS_KEY_ID": "another",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_ENDPOINT_URL_LOOKOUTVISION": NOWHERE,
    "AWS_PROFILE": "factory",
    "BLEMISH_S3_ENDPOINT": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "http_proxy": NOWHERE,
}


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blemish.cli.main", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        env=os.environ | environment,
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with images of two sizes, and what a file manager left."""
    folder = tmp_path / "images"
    generators = np.random.default_rng(3).spawn(20)
    for row, generator in enumerate(generators):
        label = "normal" if row < 16 else "anomaly"
        kind = None if row < 16 else tuple(COLORS)[row % 3]
        image, _ = draw_product(generator, anomaly_type=kind)
        cut = image[: 288 - 8 * (row % 2)]
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{row}.JPG").write_bytes(jpeg(cut))
    (folder / "normal" / "._0.JPG").write_bytes(b"Mac OS X")
    return folder


def check_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert page.count("data:image/") > 6
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_it_learns_images_of_any_size_whatever_the_environment_says(
    images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"

    own = demo("--images", str(images), "--data-dir", str(folder), **LEADS_ELSEWHERE)

    assert own.returncode in {0, 1}, own.stderr  # so few images may not be enough to tell
    printed = " ".join(own.stdout.split())
    assert re.search(r"\d of 6 right", printed)
    assert "1 file not used, left by a file manager: normal/._0.JPG" in printed
    assert str(folder / "report.html") in own.stdout.replace("\n", "")
    check_page(folder)


@pytest.mark.slow
def test_it_finds_defects_and_run_again_takes_images_of_any_size(
    images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"

    drawn = demo("--data-dir", str(folder))
    own, again = (demo("--images", str(images), "--data-dir", str(folder)) for _ in range(2))

    assert drawn.returncode == 0, drawn.stderr
    assert "scratch-01.jpg" in drawn.stdout
    right = re.search(r"(\d+) of (\d+) right", drawn.stdout)
    assert right is not None
    assert int(right[1]) >= 0.8 * int(right[2])
    for run in (own, again):
        assert run.returncode in {0, 1}, run.stderr  # so few images may not be enough to tell
    assert re.findall(r"\d of 6 right", own.stdout) == re.findall(r"\d of 6 right", again.stdout)
    assert " of 6 right" in again.stdout
    for run in (drawn, own, again):
        assert str(folder / "report.html") in run.stdout.replace("\n", "")
    check_page(folder)


def test_the_demo_needs_a_folder_of_normal_images(tmp_path: Path) -> None:
    empty = demo("--images", str(tmp_path), "--data-dir", str(tmp_path / "demo"))

    assert empty.returncode == 2
    assert "normal" in empty.stderr


def test_the_demo_touches_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("ten years of work")
    served = ServedDirectory(tmp_path / "served", environment={})
    served.start()
    served.client().create_project(ProjectName="mine")
    (served.folder / "demo.json").write_text(json.dumps({"project": "demo", "created_at": None}))

    with pytest.raises(DemoError, match=str(strange)):
        run_demo(strange, images=None)
    assert served.process is not None
    with pytest.raises(DemoError, match=f"process {served.process.pid}"):
        run_demo(served.folder, images=None)
    served.end()
    with pytest.raises(DemoError, match="mine"):
        run_demo(served.folder, images=None)

    assert (strange / "thesis.txt").read_text() == "ten years of work"
    served.start()
    assert len(served.client().list_projects()["Projects"]) == 1
    served.end()
