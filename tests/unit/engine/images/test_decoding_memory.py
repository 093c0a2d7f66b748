from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from blemish.engine.images.decoding_memory import DecodingMemory, decoding_bytes
from blemish.engine.images.formats import JPEG, PNG, ImageHeader


def test_memory_is_given_in_order_and_an_image_larger_than_all_of_it_takes_all() -> None:
    memory, order = DecodingMemory(10), []
    may_end = threading.Event()
    has_begun = threading.Event()

    def first() -> None:
        with memory.taken(6):
            has_begun.set()
            assert may_end.wait(10)
            order.append("first")

    def large() -> None:
        with memory.taken(1_000):
            order.append("large")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(first)
        assert has_begun.wait(10)
        waiting = pool.submit(large)
        may_end.set()
        waiting.result(10)

    assert order == ["first", "large"]


@pytest.mark.parametrize(
    ("media_type", "bits", "expected"),
    [(PNG, 8, 8_000_000), (PNG, 16, 16_000_000), (JPEG, 8, 500_000)],
)
def test_a_reduced_jpeg_takes_less_and_16_bits_take_more(
    media_type: str, bits: int, expected: int
) -> None:
    header = ImageHeader(
        media_type=media_type, size=(1_000, 1_000), orientation=1, bits=bits, pixel_data=b""
    )

    assert decoding_bytes(header, at_least=(200, 200)) == expected
