import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.demo.report import (
    SHOWN_SIDE,
    ReportRow,
    TypeArea,
    heat_map_overlay,
    write_report,
)
from blemish.domain.entities import Label
from blemish.engine.metrics import PrecisionRecallF1

HOSTILE = '<img src=x onerror="alert(1)">.jpg'
MEASURED = PrecisionRecallF1(precision=0.5, recall=0.75, f1=0.6)


def image(width: int = 60, height: int = 40) -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def row(
    name: str = "one.jpg",
    *,
    truth: Label = Label.NORMAL,
    verdict: Label = Label.NORMAL,
    confidence: float = 0.9,
) -> ReportRow:
    return ReportRow(name=name, truth=truth, verdict=verdict, confidence=confidence, pixels=image())


class Page(HTMLParser):
    """What of a page the tests look at."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def images(self) -> dict[str, Image.Image]:
        """Decode every image of the page, by its alternative text."""
        found: dict[str, Image.Image] = {}
        for tag, attributes in self.tags:
            if tag == "img":
                head, content = str(attributes["src"]).split(",")
                assert head in {"data:image/jpeg;base64", "data:image/png;base64"}
                image = Image.open(io.BytesIO(base64.b64decode(content)))
                found[str(attributes["alt"])] = image
        return found

    def names(self) -> list[str]:
        return re.findall(r'<p class="name">(.*?)</p>', self.source)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def written(
    path: Path,
    rows: Sequence[ReportRow],
    *,
    metrics: PrecisionRecallF1 = MEASURED,
    notes: Sequence[str] = (),
) -> Page:
    write_report(
        path,
        title="Plates & covers",
        rows=rows,
        metrics=metrics,
        threshold=1.0,
        trained_on=48,
        training_s=17.4,
        notes=notes,
    )
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_needs_nothing_beside_it(path: Path) -> None:
    page = written(path, [row()])

    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert "href" not in attributes
    assert "http" not in page.source.replace("http-equiv", "")
    assert "url(" not in page.source


def test_a_hostile_name_is_shown_and_not_run(path: Path) -> None:
    hostile_area = TypeArea(name="</style><script>", share=0.01, color='red" onclick="x')
    hostile = replace(row(HOSTILE), areas=(hostile_area,))

    page = written(path, [hostile], notes=["<b>bold</b>"])

    assert HOSTILE in page.text
    assert "</style><script>" in page.text
    assert "<b>bold</b>" in page.text
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]


def test_mistakes_come_first_then_anomalies_then_the_rest(path: Path) -> None:
    rows = [
        row("normal, unsure", confidence=0.6),
        row("normal, sure", confidence=0.99),
        row("anomaly, sure", truth=Label.ANOMALY, verdict=Label.ANOMALY, confidence=0.97),
        row("anomaly, unsure", truth=Label.ANOMALY, verdict=Label.ANOMALY, confidence=0.7),
        row("missed, unsure", truth=Label.ANOMALY, confidence=0.55),
        row("alarm, sure", verdict=Label.ANOMALY, confidence=0.95),
    ]

    page = written(path, rows)

    assert page.names() == [
        "alarm, sure",
        "missed, unsure",
        "anomaly, unsure",
        "anomaly, sure",
        "normal, unsure",
        "normal, sure",
    ]


def test_a_mistake_is_told_in_words_and_not_by_colour_alone(path: Path) -> None:
    page = written(
        path,
        [
            row("a", truth=Label.ANOMALY, confidence=0.81),
            row("b", verdict=Label.ANOMALY, confidence=0.72),
            row("c", confidence=0.63),
        ],
    )

    expected = [
        "a Truth anomaly Verdict normal, confidence 0.81 ✗ Wrong: missed anomaly",
        "b Truth normal Verdict anomaly, confidence 0.72 ✗ Wrong: false alarm",
        "c Truth normal Verdict normal, confidence 0.63 ✓ Right",
    ]
    for words in expected:
        assert words in page.text


def test_the_summary_counts_and_measures(path: Path) -> None:
    page = written(
        path,
        [row("a", truth=Label.ANOMALY), row("b", verdict=Label.ANOMALY), row("c"), row("d")],
        notes=["Only 4 images were left for the test."],
    )

    assert "2 of 4 test images judged right, after learning from 48 images" in page.text
    for fact in (
        "F1 0.60",
        "Precision 0.50",
        "Recall 0.75",
        "Missed 1",
        "False alarms 1",
        "Test images 4",
        "Trained on 48",
        "Training time 17 s",
        "Only 4 images were left for the test.",
    ):
        assert fact in page.text


def test_what_was_not_measured_is_said_so(path: Path) -> None:
    page = written(path, [row()], metrics=PrecisionRecallF1(precision=None, recall=None, f1=None))

    assert "F1 not measured Precision not measured Recall not measured" in page.text


def test_a_card_shows_image_heat_map_and_mask(path: Path) -> None:
    mask = np.full((40, 60, 3), 255, dtype=np.uint8)
    mask[10:20, 10:30] = (0x23, 0xA4, 0x36)
    full = replace(
        row("one.jpg", truth=Label.ANOMALY, verdict=Label.ANOMALY),
        anomaly_map=np.ones((5, 8), dtype=np.float32),
        mask=mask,
        areas=(TypeArea(name="scratch", share=0.0123, color="#23A436"),),
    )

    page = written(path, [full])

    images = page.images()
    assert list(images) == ["one.jpg", "Heat map of one.jpg", "Mask of one.jpg"]
    assert {image.size for image in images.values()} == {(60, 40)}
    shown = np.asarray(images["Mask of one.jpg"])
    assert ((shown[..., 3] > 0) == (mask[..., 0] < 255)).all()
    assert (shown[shown[..., 3] > 0][:, :3] == (0x23, 0xA4, 0x36)).all()
    assert "scratch 1.23 %" in page.text
    assert page.source.count('type="range"') == 2


def test_without_heat_maps_and_masks_there_is_nothing_to_fade(path: Path) -> None:
    page = written(path, [row()])

    assert list(page.images()) == ["one.jpg"]
    assert 'type="range"' not in page.source


def test_large_images_are_reduced_and_small_ones_are_not_enlarged(path: Path) -> None:
    page = written(path, [replace(row("large"), pixels=image(1500, 1000)), row("small")])

    sizes = {name: image.size for name, image in page.images().items()}
    assert sizes == {"large": (SHOWN_SIDE, round(SHOWN_SIDE * 2 / 3)), "small": (60, 40)}


def test_heat_peaks_where_the_map_does() -> None:
    anomaly_map = np.zeros((4, 6), dtype=np.float32)
    anomaly_map[1, 4] = 3.0
    pixels = np.full((40, 60, 3), 128, dtype=np.uint8)

    overlay = heat_map_overlay(pixels, anomaly_map, threshold=1.0)

    change = np.abs(overlay.astype(int) - pixels).sum(axis=2)
    down, right = np.unravel_index(change.argmax(), change.shape)
    assert (down // 10, right // 10) == (1, 4)
    assert (overlay[30:, :20] == pixels[30:, :20]).all()


@given(seed=st.integers(0, 2**31), threshold=st.floats(0, 100))
def test_scores_well_below_the_threshold_leave_the_image(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    anomaly_map = generator.uniform(0, 0.74, (3, 2)) * threshold

    overlay = heat_map_overlay(pixels, anomaly_map.astype(np.float32), threshold=threshold)

    assert (overlay == pixels).all()


def test_more_heat_is_more_colour() -> None:
    pixels = np.zeros((1, 1, 3), dtype=np.uint8)
    scores = np.linspace(0.75, 1.75, 6)

    brightness = [
        int(heat_map_overlay(pixels, np.full((1, 1), score, np.float32), threshold=1.0).sum())
        for score in scores
    ]

    assert brightness == sorted(brightness)
    assert brightness[0] == 0
    assert brightness[-1] > 350
