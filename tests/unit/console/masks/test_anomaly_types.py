from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from blemish.console.images.entry import Entry, SetAsideMask, entry_line, entry_of
from blemish.console.masks.anomaly_types import (
    ProjectAnomalyType,
    checked_name,
    renamed,
    types_of,
)
from blemish.domain.entities import Label
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import parse_line
from blemish.domain.palette import PALETTE

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GREEN, BLUE, ORANGE = PALETTE[1:4]


def entry(**colors: str) -> Entry:
    """Return an entry whose mask has types in these colours."""
    by_color = {color: name for name, color in colors.items()}
    line = entry_line(
        "s3://images/a.jpg",
        now=NOW,
        label="anomaly",
        mask_ref="s3://images/m.png",
        colors=by_color,
    )
    return Entry(
        ref="s3://images/a.jpg",
        label=Label.ANOMALY,
        mask_ref="s3://images/m.png",
        colors=by_color,
        created_at=NOW,
        line=line,
    )


def colors_of(*types: ProjectAnomalyType) -> dict[str, str]:
    return {each.name: each.color for each in types}


def test_types_are_those_of_the_entries_and_those_added() -> None:
    types = types_of([entry(crack=GREEN), entry(crack=GREEN, chip=BLUE)], ["chip", "dent"])

    assert colors_of(*types) == {"crack": GREEN, "chip": BLUE, "dent": ORANGE}
    assert [each.used for each in types] == [2, 1, 0]


def test_two_types_never_share_a_colour() -> None:
    types = types_of([entry(crack=GREEN), entry(chip=GREEN), entry(dent=BLUE)], [])

    assert colors_of(*types) == {"crack": GREEN, "chip": ORANGE, "dent": BLUE}


def test_a_type_keeps_its_first_colour() -> None:
    assert colors_of(*types_of([entry(crack="#010203"), entry(crack=BLUE)], [])) == {
        "crack": "#010203"
    }


def test_a_name_is_tidied() -> None:
    assert checked_name("  deep \n crack ", []) == "deep crack"


@pytest.mark.parametrize("name", ["", "  ", "Background", "x" * 101, "CRACK"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        checked_name(name, [ProjectAnomalyType(name="crack", color=GREEN)])


def test_renaming_keeps_all_else_of_a_line() -> None:
    line = json.dumps(json.loads(entry(crack=GREEN, chip=BLUE).line) | {"mine": {"a": "crack"}})

    changed = renamed(line, "crack", "crack, deep")

    mask = parse_line(changed).mask
    assert mask is not None
    assert mask.colors == {"#FFFFFF": "background", GREEN: "crack, deep", BLUE: "chip"}
    assert json.loads(changed)["mine"] == {"a": "crack"}
    assert renamed(changed, "crack, deep", "crack") == renamed(line, "no", "such")


def test_renaming_reaches_a_mask_that_is_set_aside() -> None:
    mask = SetAsideMask(ref="s3://images/m.png", colors={GREEN: "crack", BLUE: "chip"})
    line = entry_line("s3://images/a.jpg", now=NOW, label="normal", set_aside=mask)

    aside = entry_of(renamed(line, "crack", "split")).set_aside

    assert aside is not None
    assert aside.colors == {GREEN: "split", BLUE: "chip"}
