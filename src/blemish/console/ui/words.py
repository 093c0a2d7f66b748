"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 image" and "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
