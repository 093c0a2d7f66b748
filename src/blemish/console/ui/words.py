"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 image" and "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share_text(share: float | None) -> str:
    """Return a share from 0 to 1 as people read it; "-" if it was not measured."""
    return "-" if share is None else f"{share:.3f}"
