from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.entities import EvaluationMethod, Label
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.domain.splitting import MIN_TEST, TEST_SHARE, evaluation_method, split_rows

Images = list[tuple[Label, str]]


def digest(name: object) -> str:
    return hashlib.sha256(repr(name).encode()).hexdigest()


DIFFERENT = st.dictionaries(
    st.integers(0, 10_000).map(digest), st.sampled_from(list(Label)), max_size=60
).map(lambda found: [(label, sha) for sha, label in found.items()])
"""Images of which no two are identical."""

SOME_IDENTICAL = st.lists(
    st.tuples(st.sampled_from(list(Label)), st.integers(0, 12).map(digest)), max_size=60
)


def split(images: Sequence[tuple[Label, str]]) -> list[int]:
    return split_rows([label for label, _ in images], [sha for _, sha in images])


def count(images: Images, rows: list[int], label: Label) -> int:
    return sum(images[row][0] is label for row in rows)


@given(DIFFERENT)
def test_a_fifth_of_each_label_is_tested_on_and_never_fewer_than_the_least(
    images: Images,
) -> None:
    rows = split(images)

    for label, least in MIN_TEST.items():
        there = sum(found is label for found, _ in images)
        assert count(images, rows, label) == min(there, max(least, round(there * TEST_SHARE)))


@given(SOME_IDENTICAL)
def test_identical_images_never_make_the_test_part_smaller(images: Images) -> None:
    rows = split(images)

    for label, least in {Label.NORMAL: 5, Label.ANOMALY: 1}.items():
        there = sum(found is label for found, _ in images)
        assert count(images, rows, label) >= min(there, max(least, round(0.2 * there)))


@pytest.mark.parametrize(("anomalies", "chosen"), [([1, 0], [1]), ([1, *range(11, 20)], [1, 11])])
def test_an_anomaly_that_came_along_with_a_normal_image_counts_once(
    anomalies: list[int], chosen: list[int]
) -> None:
    """The image 1 is there with both labels."""
    normal = [(Label.NORMAL, f"{number:064x}") for number in range(1, 9)]
    images = normal + [(Label.ANOMALY, f"{number:064x}") for number in anomalies]

    rows = split(images)

    assert [int(images[row][1], 16) for row in rows] == [1, 2, 3, 4, 5, *chosen]


@given(SOME_IDENTICAL)
def test_identical_images_stay_together_whatever_their_labels(images: Images) -> None:
    rows = set(split(images))

    tested = {images[row][1] for row in rows}
    trained = {sha for row, (_, sha) in enumerate(images) if row not in rows}
    assert not tested & trained


@given(images=SOME_IDENTICAL, random=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(images: Images, random: Random) -> None:
    order = list(range(len(images)))
    random.shuffle(order)

    shuffled = split([images[row] for row in order])

    assert sorted(order[row] for row in shuffled) == split(images)


@given(images=DIFFERENT, label=st.sampled_from(list(Label)))
def test_a_image_added_later_moves_at_most_one_other(images: Images, label: Label) -> None:
    before = split(images)

    after = split([*images, (label, digest("another"))])

    assert len(set(before) ^ (set(after) - {len(images)})) <= 1


@given(SOME_IDENTICAL)
def test_rows_come_once_and_in_ascending_order(images: Images) -> None:
    rows = split(images)

    assert rows == sorted(set(rows))


def test_the_images_with_the_lowest_hashes_are_chosen() -> None:
    images = [(Label.NORMAL, f"{row:064x}") for row in (9, 3, 30, 1, 7, 5, 8, 2, 6, 4)]

    assert split(images) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("limits", [OURS, ORIGINAL])
def test_the_least_single_dataset_leaves_ten_normal_images_to_train_on(limits: Limits) -> None:
    images = [(Label.NORMAL, digest(row)) for row in range(limits.single_min_normal)]

    assert len(images) - len(split(images)) >= 10


@pytest.mark.parametrize(
    ("test_images", "single", "method"),
    [
        (19, True, EvaluationMethod.CROSS_VALIDATION),
        (20, True, EvaluationMethod.HELD_OUT),
        (19, False, EvaluationMethod.TEST_DATASET),
    ],
)
def test_a_small_part_of_a_single_dataset_does_not_measure_performance_alone(
    test_images: int, single: bool, method: EvaluationMethod
) -> None:
    assert evaluation_method(test_images, single=single) is method
