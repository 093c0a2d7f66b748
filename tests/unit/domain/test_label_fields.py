from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.label_fields import LabelField, UndecidedFieldsError, deciding_field

JANUARY, MARCH, MAY = "2024-01-01T00:00:00.000000", "2024-03-01T00:00:00Z", "2024-05-01"
NO_DATE = "someday"
AUGUST_2022 = "Mon Aug 22 2022 13:52:52 GMT-0700 (Pacific Daylight Time)"


def fields(*values: str) -> list[LabelField]:
    """Return fields in the order of a line; `!` before a date marks an adjusted one."""
    return [
        LabelField(
            name=f"field-{position}",
            metadata={"creation-date": value.removeprefix("!")}
            | ({"adjustment-status": "adjusted"} if value.startswith("!") else {}),
            position=position,
        )
        for position, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "counting"),
    [
        ([JANUARY], 0),
        ([f"!{JANUARY}"], 0),
        # the newest one, in any order
        ([JANUARY, MARCH], 1),
        ([MARCH, JANUARY], 0),
        ([MARCH, MAY, JANUARY], 1),
        # the later one in the line, where dates are equal or absent
        ([MARCH, MARCH], 1),
        (["", ""], 1),
        ([MARCH, ""], 1),
        (["", MARCH], 1),
        ([NO_DATE, JANUARY, ""], 2),
        ([JANUARY, AUGUST_2022], 0),
        # an adjusted one before the one that it adjusted, whatever dates and order say
        ([JANUARY, f"!{MARCH}"], 1),
        ([f"!{MARCH}", JANUARY], 0),
        ([MARCH, f"!{JANUARY}"], 1),
        ([f"!{JANUARY}", MARCH], 0),
        (["", "!"], 1),
        (["!", ""], 0),
        # of two adjustments the newer one
        ([JANUARY, f"!{MARCH}", f"!{MAY}"], 2),
        ([JANUARY, f"!{MAY}", f"!{MARCH}"], 1),
        (["", "!", "!"], 2),
        # a later job of its own replaces an adjusted field
        ([JANUARY, f"!{MARCH}", MAY], 2),
        ([MAY, JANUARY, f"!{MARCH}"], 0),
        (["", "!", ""], 2),
    ],
)
def test_one_of_several_fields_counts(values: list[str], counting: int) -> None:
    found = deciding_field(fields(*values))

    assert found is not None
    assert found.position == counting


def test_without_a_field_none_counts() -> None:
    assert deciding_field([]) is None


@pytest.mark.parametrize(
    ("values", "names"),
    [
        # each is newer than the one before it: by place, by place, by date
        ([MAY, "", JANUARY], {"field-0", "field-2"}),
        # adjusted which of two newer ones?
        ([MARCH, f"!{JANUARY}", MAY], {"field-1", "field-2"}),
    ],
)
def test_where_nothing_decides_both_fields_are_named(values: list[str], names: set[str]) -> None:
    with pytest.raises(UndecidedFieldsError) as caught:
        deciding_field(fields(*values))

    assert set(caught.value.names) == names


@given(st.lists(st.sampled_from([JANUARY, MARCH, MAY]), min_size=1, max_size=8))
def test_with_dates_the_last_of_the_newest_fields_counts(values: list[str]) -> None:
    newest = max(fields(*values), key=lambda field: (str(field.created_at), field.position))

    assert deciding_field(fields(*values)) == newest


@given(st.lists(st.sampled_from(["", NO_DATE]), min_size=1, max_size=8))
def test_without_dates_the_last_field_counts(values: list[str]) -> None:
    assert deciding_field(fields(*values)) == fields(*values)[-1]


@given(
    st.lists(st.sampled_from(["", MARCH, MAY, f"!{JANUARY}", f"!{MAY}", "!"]), max_size=6),
    st.sampled_from([JANUARY, ""]),
)
def test_a_single_original_never_counts_beside_an_adjusted_field(
    values: list[str], date: str
) -> None:
    adjusted = [value for value in values if value.startswith("!")]
    annotations = fields(date, *adjusted)

    with suppress(UndecidedFieldsError):
        counting = deciding_field(annotations)

        assert counting is not None
        assert counting.is_adjusted == bool(adjusted)
