from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from blemish.console.images.dataset_entries import _pieces, entry_line
from blemish.domain.entities import Label
from blemish.domain.manifest import parse_line

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
REF = "s3://images/a/b.jpg"


def test_a_line_says_what_the_manifest_of_the_original_says() -> None:
    line = entry_line(
        REF,
        now=NOW,
        label=Label.ANOMALY,
        mask_ref="s3://images/m.png",
        colors={"#23A436": "crack"},
    )

    entry = parse_line(line)
    assert (str(entry.image), entry.label, entry.created_at) == (REF, Label.ANOMALY, NOW)
    assert entry.mask is not None
    assert entry.mask.colors == {"#FFFFFF": "background", "#23A436": "crack"}
    assert json.loads(line)["anomaly-label-metadata"]["creation-date"] == "2026-01-02T03:04:05.678Z"


def test_a_image_without_a_label_is_its_address_alone() -> None:
    assert json.loads(entry_line(REF, now=NOW)) == {"source-ref": REF}


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=30))
def test_pieces_hold_every_line_in_its_order(lines: list[str]) -> None:
    joined = b"".join(_pieces(lines))

    assert joined == b"".join(line.encode() + b"\n" for line in lines)
