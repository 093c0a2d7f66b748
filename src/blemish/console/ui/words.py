"""Numbers with their nouns, as people read them."""

from __future__ import annotations

from blemish.console.language.numbers import number_text


def share_text(share: float | None) -> str:
    """Return a share from 0 to 1 as people read it; "-" if it was not measured."""
    return "-" if share is None else number_text(share, digits=3)
