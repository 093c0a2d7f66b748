from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blemish.line.agreement import agreements
from blemish.line.reviews import LineReviews, ReviewAnswer, VerifiedImage
from blemish.station.config import ImageRule
from blemish.station.records import Records
from blemish.station.stored_images import StoredImage
from tests.unit.station.captured import RULES, captured, verdict_on
from tests.unit.station.verdicts import TIME

OK, NOT_OK, UNSURE = ReviewAnswer


@pytest.fixture
def ids(folder: Path) -> Iterator[list[str]]:
    """The ids of three uncertain images of a line, and of one that is certain."""
    rules = replace(RULES, images=frozenset({ImageRule.ALL}))
    records = Records(folder, rules=rules)
    names = []
    for number in range(4):
        image = captured(number)
        stored = StoredImage(
            image_file=f"{number}.png", heat_map_file=f"{number}.heat", mask_file=None, size_bytes=9
        )
        score = 1.05 if number < 3 else 3.0
        records.add(verdict_on(image, score=score), image, stored=stored)
        names.append(image.id)
    yield names
    records.close()


@pytest.fixture
def reviews(folder: Path, ids: list[str]) -> LineReviews:
    assert ids
    return LineReviews(folder)


def test_uncertain_images_wait_until_somebody_decides(reviews: LineReviews, ids: list[str]) -> None:
    assert (reviews.next_id("anna"), reviews.counts().waiting) == (ids[0], 3)

    reviews.answer(ids[0], "anna", OK, at=TIME)
    reviews.answer(ids[1], "anna", UNSURE, at=TIME)

    assert reviews.next_id("anna") == ids[2]
    assert reviews.next_id("ben") == ids[1]
    assert reviews.counts().waiting == 2


def test_an_answer_of_the_same_person_replaces_the_earlier_one(
    reviews: LineReviews, ids: list[str]
) -> None:
    reviews.answer(ids[0], "anna", OK, at=TIME)
    reviews.answer(ids[0], "anna", NOT_OK, at=TIME)

    assert reviews.verified() == [VerifiedImage(id=ids[0], is_anomalous=True)]

    reviews.withdraw(ids[0], "anna")

    assert reviews.next_id("anna") == ids[0]


def test_a_dispute_is_counted_and_not_verified(reviews: LineReviews, ids: list[str]) -> None:
    reviews.answer(ids[0], "anna", OK, at=TIME)
    assert reviews.next_id("ben", again=True) == ids[0]
    reviews.answer(ids[0], "ben", NOT_OK, at=TIME)

    counts = reviews.counts()

    assert (counts.verified, counts.disputed) == (0, 1)


def test_an_image_is_added_once(reviews: LineReviews, ids: list[str]) -> None:
    reviews.answer(ids[0], "anna", OK, at=TIME)
    reviews.added([ids[0]], "train")

    assert reviews.verified() == []
    assert reviews.next_id("ben", again=True) is None


def test_an_unknown_image_is_refused_and_a_line_that_never_ran_has_no_queue(
    reviews: LineReviews, tmp_path: Path
) -> None:
    assert not reviews.answer("elsewhere", "anna", OK, at=TIME)
    assert LineReviews(tmp_path / "new").next_id("anna") is None


def test_kappa_is_that_of_the_textbook() -> None:
    # 50 images: both yes 20, both no 15, the first alone 5, the second alone 10; kappa is 0.4
    table = {(True, True): 20, (False, False): 15, (True, False): 5, (False, True): 10}
    answers = [pair for pair, count in table.items() for _ in range(count)]
    decisions = [
        (str(image), reviewer, pair[column])
        for image, pair in enumerate(answers)
        for column, reviewer in enumerate(("anna", "ben"))
    ]

    (pair,) = agreements(decisions)

    assert (pair.images, pair.same) == (50, 35)
    assert pair.kappa == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("images", "answer", "reason"), [(3, True, "fewer than 10"), (20, False, "the same answer")]
)
def test_an_agreement_that_cannot_be_measured_says_why(
    images: int, answer: bool, reason: str
) -> None:
    decisions = [(str(n), name, answer) for n in range(images) for name in ("anna", "ben")]

    (pair,) = agreements(decisions)

    assert pair.kappa is None
    assert reason in pair.reason
