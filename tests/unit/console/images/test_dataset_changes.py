from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blemish.console.images.dataset_changes import CHANGE_BYTES, batches


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=30))
def test_batches_hold_every_line_in_its_order(lines: list[str]) -> None:
    joined = b"".join(batches(lines))

    assert joined == b"".join(line.encode() + b"\n" for line in lines)


def test_a_batch_is_no_larger_than_the_api_takes() -> None:
    lines = ["x" * (CHANGE_BYTES // 3)] * 5

    sizes = [len(batch) for batch in batches(lines)]

    assert len(sizes) == 3
    assert max(sizes) <= CHANGE_BYTES
