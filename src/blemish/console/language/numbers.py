"""Numbers and times as people of the visitor's language write them."""

from __future__ import annotations

from datetime import UTC, datetime

from blemish.console.language.visitor_language import ENGLISH, PSEUDO, current_language


def number_text(number: float, *, digits: int = 0) -> str:
    """Return a number with its digits in groups, such as "2,000" or "0.125"."""
    code = current_language()
    if code in {ENGLISH, PSEUDO}:
        return f"{number:,.{digits}f}"
    from babel.numbers import format_decimal  # noqa: PLC0415 - English needs no Babel

    return format_decimal(number, _pattern(digits), locale=code)


def significant_text(number: float, digits: int = 4) -> str:
    """Return a number with its most significant digits, such as "1.183" of a threshold."""
    text, code = f"{number:.{digits}g}", current_language()
    if code in {ENGLISH, PSEUDO}:
        return text
    from babel.numbers import get_decimal_symbol  # noqa: PLC0415 - English needs no Babel

    return text.replace(".", get_decimal_symbol(code))


def percent_text(share: float, *, digits: int = 0) -> str:
    """Return a share from 0 to 1 in percent, such as "85%"."""
    code = current_language()
    if code in {ENGLISH, PSEUDO}:
        return f"{share:.{digits}%}"
    from babel import Locale  # noqa: PLC0415 - English needs no Babel
    from babel.numbers import format_percent  # noqa: PLC0415

    plain = Locale.parse(code).percent_formats[None].pattern
    return format_percent(share, plain.replace("#,##0", _pattern(digits)), locale=code)


def utc_text(at: datetime) -> str:
    """Return a moment in UTC, to the minute, such as "2026-11-30 14:05 UTC"."""
    utc, code = at.astimezone(UTC), current_language()
    if code in {ENGLISH, PSEUDO}:
        return f"{utc:%Y-%m-%d %H:%M} UTC"
    from babel.dates import format_datetime  # noqa: PLC0415 - English needs no Babel

    return f"{format_datetime(utc, 'short', locale=code)} UTC"


def _pattern(digits: int) -> str:
    return "#,##0" + (f".{'0' * digits}" if digits else "")
