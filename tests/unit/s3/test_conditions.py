from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.conditions import (
    ReadConditions,
    copied_range,
    requested_range,
    write_check,
)
from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRangeError,
    NoSuchKeyError,
    NotModifiedError,
    PreconditionFailedError,
    S3Error,
    UnsupportedError,
)

CHANGED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
BEFORE, AFTER = CHANGED - timedelta(seconds=1), CHANGED + timedelta(seconds=1)


def refused(**conditions: Any) -> type[S3Error] | None:
    try:
        ReadConditions(**conditions).check({"one", "other"}, CHANGED)
    except S3Error as error:
        return type(error)
    return None


@pytest.mark.parametrize("header", ['"one"', "one", '"x", W/"other"', "*"])
def test_an_etag_is_met_in_any_form(header: str) -> None:
    assert refused(if_match=header) is None
    assert refused(if_none_match=header) is NotModifiedError


def test_another_etag_is_not_met() -> None:
    assert refused(if_match='"x"') is PreconditionFailedError
    assert refused(if_none_match='"x"') is None


def test_times_are_compared_with_that_of_the_change() -> None:
    assert refused(if_modified_since=BEFORE) is None
    assert refused(if_modified_since=CHANGED) is NotModifiedError
    assert refused(if_unmodified_since=BEFORE) is PreconditionFailedError
    assert refused(if_unmodified_since=CHANGED) is None


def test_etags_count_more_than_times() -> None:
    assert refused(if_match='"one"', if_unmodified_since=BEFORE) is None
    assert refused(if_none_match='"x"', if_modified_since=AFTER) is None
    assert refused(if_match='"x"', if_none_match='"one"') is PreconditionFailedError


def test_a_copy_is_never_answered_with_not_modified() -> None:
    with pytest.raises(PreconditionFailedError):
        ReadConditions(if_none_match="one").check_copy({"one"}, CHANGED)


def test_a_write_may_demand_that_there_is_nothing_or_just_this() -> None:
    absent, same = write_check(None, "*"), write_check('"one"', None)
    assert absent is not None
    assert same is not None

    absent(None)
    same("one")

    with pytest.raises(PreconditionFailedError):
        absent("one")
    with pytest.raises(PreconditionFailedError):
        same("other")
    with pytest.raises(NoSuchKeyError):
        same(None)
    with pytest.raises(UnsupportedError):
        write_check(None, '"one"')
    assert write_check(None, None) is None


@given(size=st.integers(1, 50), start=st.integers(0, 60), last=st.integers(0, 60))
def test_a_range_is_what_slicing_gives(size: int, start: int, last: int) -> None:
    data = bytes(range(size))
    cases = {
        f"bytes={start}-": data[start:],
        f"bytes={start}-{last}": data[start : last + 1],
        f"bytes=-{last}": data[max(0, size - last) :],
    }

    for text, expected in cases.items():
        if text == f"bytes={start}-{last}" and last < start:
            assert requested_range(text, size) is None
        elif expected:
            found = requested_range(text, size)
            assert found is not None
            assert data[slice(*found)] == expected
            assert found[1] <= size
        else:
            with pytest.raises(InvalidRangeError):
                requested_range(text, size)


@pytest.mark.parametrize(
    "text", [None, "", "bytes", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=1"]
)
def test_what_is_no_range_is_the_whole(text: str | None) -> None:
    assert requested_range(text, 10) is None


def test_a_copied_range_lies_within_the_object() -> None:
    assert copied_range("bytes=2-10", 11) == (2, 11)
    assert copied_range("bytes=3-3", 11) == (3, 4)
    assert copied_range(None, 11) == (0, 11)

    for text in ("bytes=0-11", "bytes=0-999", "bytes=11-12"):
        with pytest.raises(InvalidArgumentError, match="not valid for source object of size: 11"):
            copied_range(text, 11)


@pytest.mark.parametrize("text", ["0-9", "bytes=1-", "bytes=-1", "bytes=2-1", "bytes=0-1,3-4"])
def test_a_copied_range_has_a_first_and_a_last_byte(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="bytes=first-last"):
        copied_range(text, 10)
