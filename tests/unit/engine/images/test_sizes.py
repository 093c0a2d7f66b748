import pytest

from blemish.engine.images.decode import ImageError
from blemish.engine.images.sizes import ImageSize, check_size

LYING = ImageSize(stored=(640, 480), upright=(640, 480))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_last_four_orientations_swap_the_sides(orientation: int) -> None:
    size = ImageSize.of((640, 480), orientation=orientation)

    assert size.stored == (640, 480)
    assert size.upright == ((640, 480) if orientation <= 4 else (480, 640))


@pytest.mark.parametrize(
    "size",
    [
        LYING,
        ImageSize(stored=(640, 480), upright=(480, 640)),
        ImageSize(stored=(480, 640), upright=(640, 480)),
    ],
)
def test_the_stored_or_the_upright_size_must_agree(size: ImageSize) -> None:
    check_size(size, expected=LYING)


def test_another_size_is_refused_with_both_sizes() -> None:
    turned = ImageSize(stored=(1_000, 700), upright=(700, 1_000))

    with pytest.raises(
        ImageError,
        match=r"1,000 x 700 pixels \(700 x 1,000 upright\); it must have 640 x 480 pixels",
    ):
        check_size(turned, expected=LYING)
