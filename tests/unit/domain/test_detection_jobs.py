from __future__ import annotations

import pytest

from blemish.domain.detection_jobs import result_key, result_mask_key


@pytest.mark.parametrize(
    ("prefix", "place"),
    [
        (None, "BatchDetection/circuits/night"),
        ("", "BatchDetection/circuits/night"),
        ("out/", "out/BatchDetection/circuits/night"),
        ("out", "outBatchDetection/circuits/night"),
    ],
)
def test_results_lie_below_the_prefix_as_it_was_given(prefix: str | None, place: str) -> None:
    assert result_key(prefix, "circuits", "night") == f"{place}/ResultManifest.json"
    assert result_mask_key(prefix, "circuits", "night", position=7) == f"{place}/masks/7.png"


def test_no_two_batches_write_to_one_place() -> None:
    owners = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b-c", "a")]

    keys = {result_key("out/", project, name) for project, name in owners}

    assert len(keys) == len(owners)
