from __future__ import annotations

import re

import pytest

from blemish.domain.palette import BACKGROUND, PALETTE


def test_there_are_104_different_colours() -> None:
    assert len(PALETTE) == len(set(PALETTE)) == 104


@pytest.mark.parametrize("color", PALETTE)
def test_a_colour_is_written_in_upper_case(color: str) -> None:
    assert re.fullmatch(r"#[0-9A-F]{6}", color)


@pytest.mark.parametrize(
    ("index", "color"),
    [(0, "#FFFFFF"), (1, "#23A436"), (5, "#BD10E0"), (50, "#1495F3"), (103, "#858802")],
)
def test_a_colour_stands_where_the_originals_runtime_has_it(index: int, color: str) -> None:
    assert PALETTE[index] == color


def test_the_background_comes_first() -> None:
    assert PALETTE[0] == BACKGROUND
