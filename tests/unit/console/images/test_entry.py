from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from blemish.console.images.entry import (
    SET_ASIDE,
    SetAsideMask,
    entry_line,
    entry_of,
    object_address,
)
from blemish.domain.entities import Label
from blemish.domain.errors import ValidationError
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


def test_an_image_without_a_label_is_its_address_alone() -> None:
    assert json.loads(entry_line(REF, now=NOW)) == {"source-ref": REF}


def test_an_entry_is_read_from_its_line() -> None:
    line = entry_line(
        REF, now=NOW, label="anomaly", mask_ref="s3://images/m.png", colors={"#23A436": "crack"}
    )

    entry = entry_of(line)

    assert (entry.ref, entry.name, entry.label) == (REF, "b.jpg", Label.ANOMALY)
    assert entry.mask_ref == "s3://images/m.png"
    assert entry.types == {"crack"}


def test_an_address_is_that_of_an_object() -> None:
    assert str(object_address(REF)) == REF
    with pytest.raises(ValidationError, match="'file:///etc/passwd' is not an address"):
        object_address("file:///etc/passwd")


def test_a_mask_that_is_set_aside_stands_in_the_line_and_does_not_count() -> None:
    mask = SetAsideMask(ref="s3://images/m.png", colors={"#23A436": "crack"})
    line = entry_line(REF, now=NOW, label=Label.NORMAL, set_aside=mask)

    assert entry_of(line).set_aside == mask
    assert parse_line(line).mask is None


@pytest.mark.parametrize("member", [[1], {}, {"ref": "x", "colors": {}}, {"ref": REF, "colors": 1}])
def test_a_member_of_that_name_by_somebody_else_is_no_mask(member: object) -> None:
    line = json.dumps({"source-ref": REF, SET_ASIDE: member})

    assert entry_of(line).set_aside is None


def test_every_change_of_an_entry_gives_it_another_version() -> None:
    labels = [None, Label.NORMAL, Label.ANOMALY]
    versions = {entry_of(entry_line(REF, now=NOW, label=label)).version for label in labels}

    assert len(versions) == 3
