import numpy as np
import pytest

from blemish.engine.training.drawn_marks import CONTRAST, with_mark


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("length", [16, 64])
def test_a_mark_is_as_long_as_it_should_be(narrow: bool, length: int) -> None:
    plain = np.full((200, 160, 3), 90, dtype=np.uint8)

    marked = with_mark(plain, length, narrow=narrow, generator=np.random.default_rng(3))

    rows, columns = np.nonzero((marked != plain).any(axis=2))
    extent = np.hypot(np.ptp(rows), np.ptp(columns))
    assert 0.7 * length <= extent <= 1.5 * length
    assert marked.max() == 90 + CONTRAST


def test_the_image_itself_stays_as_it_is() -> None:
    plain = np.full((100, 100, 3), 200, dtype=np.uint8)

    with_mark(plain, 20, narrow=False, generator=np.random.default_rng(0))

    assert (plain == 200).all()


def test_a_small_image_is_marked_where_it_has_room() -> None:
    tiny = np.full((20, 300, 3), 100, dtype=np.uint8)

    marked = with_mark(tiny, 64, narrow=False, generator=np.random.default_rng(0))

    assert (marked != tiny).any()


@pytest.mark.parametrize("width", [3, 40, 160])
def test_nothing_is_marked_where_it_is_ignored(width: int) -> None:
    plain = np.full((200, 160, 3), 90, dtype=np.uint8)
    inspected = np.zeros((200, 160), dtype=bool)
    inspected[50:, :width] = True

    marks = [
        (with_mark(plain, 32, narrow=False, generator=generator, inspected=inspected) != plain).any(
            axis=2
        )
        for generator in map(np.random.default_rng, range(8))
    ]

    assert all(mark.any() for mark in marks)
    assert not any(mark[~inspected].any() for mark in marks)
