"""`blemish demo` as a stranger runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blemish.demo.sample_product import COLORS, draw_product, jpeg
from tests.acceptance.served import ServedDirectory

pytestmark = pytest.mark.acceptance


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blemish.cli.main", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_the_demo_finds_defects_and_run_again_takes_images_of_ones_own_of_any_size(
    tmp_path: Path,
) -> None:
    images, folder = tmp_path / "images", tmp_path / "demo"
    generators = np.random.default_rng(3).spawn(20)
    for row, generator in enumerate(generators):
        label = "normal" if row < 16 else "anomaly"
        kind = None if row < 16 else tuple(COLORS)[row % 3]
        image, _ = draw_product(generator, anomaly_type=kind)
        cut = image[: 288 - 8 * (row % 2)]
        (images / label).mkdir(parents=True, exist_ok=True)
        (images / label / f"{row}.JPG").write_bytes(jpeg(cut))

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
    page = (folder / "report.html").read_text()
    assert page.count("data:image/") > 6
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


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

    not_made = demo("--data-dir", str(strange))
    in_use = demo("--data-dir", str(served.folder))
    served.end()
    with_projects = demo("--data-dir", str(served.folder))

    assert [run.returncode for run in (not_made, in_use, with_projects)] == [2, 2, 2]
    assert str(strange) in not_made.stderr
    assert f"process {served.process.pid if served.process else 0}" in in_use.stderr
    assert "mine" in with_projects.stderr
    assert (strange / "thesis.txt").read_text() == "ten years of work"
    served.start()
    assert len(served.client().list_projects()["Projects"]) == 1
    served.end()
