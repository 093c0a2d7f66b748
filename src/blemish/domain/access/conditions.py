"""Conditions of a statement: an operator, a condition key, and values.

A condition holds if any of its values matches, or, for a negated operator, if none does. A missing
key equals nothing, so negated operators hold.

    ForAllValues:   every value of the request matches; holds without values
    ForAnyValue:    at least one value of the request matches
    ...IfExists     holds if the request lacks the key

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for
multivalued context keys".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from blemish.domain.access.context import Context, key_problem
from blemish.domain.access.patterns import (
    PatternError,
    arn_matches,
    arn_parts,
    matches,
    text_of,
    tokens_of,
    variable_keys,
)

Predicate = Callable[[str, Context], bool]
"""Returns whether a value of the request matches a value of the policy."""

_OPERATOR = re.compile(r"(?:(?P<quantifier>\w+):)?(?P<name>\w+?)(?P<if>IfExists)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")


class Quantifier(StrEnum):
    """How many values of the request must match."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition on a key."""

    key: str
    quantifier: Quantifier | None
    negated: bool
    #: whether it holds if the request lacks the key
    if_absent: bool
    wanted: tuple[Predicate, ...]
    #: condition keys in its values
    variables: frozenset[str]

    def holds(self, context: Context) -> bool:
        """Return whether a request fulfils the condition."""
        values = context.values(self.key)
        match self.quantifier:
            case Quantifier.ALL:
                return all(self._fits(value, context) for value in values)
            case Quantifier.ANY:
                return any(self._fits(value, context) for value in values)
        return self._fits(values[0], context) if values else self.if_absent

    def _fits(self, value: str, context: Context) -> bool:
        return any(fits(value, context) for fits in self.wanted) != self.negated


@dataclass(frozen=True, kw_only=True)
class Presence:
    """A condition with Null: whether the request lacks a key."""

    key: str
    #: the allowed answers to whether the key is absent
    wanted: frozenset[bool]

    def holds(self, context: Context) -> bool:
        """Return whether a request fulfils the condition."""
        return (not context.values(self.key)) in self.wanted


def conditions_of(
    block: Any, *, variables: bool
) -> tuple[tuple[Condition | Presence, ...], list[str]]:
    """Parse the conditions of a statement; return them and all problems.

    Args:
        block: the JSON value of Condition.
        variables: whether `${...}` is a variable.
    """
    conditions: list[Condition | Presence] = []
    problems: list[str] = []
    if not isinstance(block, Mapping):
        return (), ["Condition must be an object: operator, key, values"]
    for operator, keys in block.items():
        if not isinstance(keys, Mapping) or not keys:
            problems.append(f"Condition {operator} must be an object: key, values")
            continue
        for key, expected in keys.items():
            try:
                conditions.append(
                    _condition(operator, key, list(_texts(expected)), variables=variables)
                )
            except ValueError as error:
                problems.append(f"Condition {operator}, {key}: {error}")
    return tuple(conditions), problems


def _condition(
    operator: str, key: str, texts: list[str], *, variables: bool
) -> Condition | Presence:
    match = _OPERATOR.fullmatch(operator)
    name = match["name"] if match else ""
    quantifier = match["quantifier"] if match else None
    if match is None or quantifier not in {None, *Quantifier} or name not in {"Null", *OPERATORS}:
        raise ValueError(
            f"there is no such operator; there are {', '.join((*OPERATORS, 'Null'))}, with "
            "ForAllValues: or ForAnyValue: before and IfExists behind them"
        )
    if name == "Null" and (quantifier or match["if"]):
        raise ValueError("Null takes neither ForAllValues: nor ForAnyValue: nor IfExists")
    if problem := key_problem(key, several=bool(quantifier) or name == "Null"):
        raise ValueError(problem)
    if not texts:
        raise ValueError("there must be a value")
    if name in {"Null", "Bool"} and (wrong := [t for t in texts if t.lower() not in _TRUTHS]):
        raise ValueError(f"a value must be true or false, not {wrong[0]!r}")
    if name == "Null":
        return Presence(key=key, wanted=frozenset(_TRUTHS[text.lower()] for text in texts))
    prepare, negated = OPERATORS[name]
    return Condition(
        key=key,
        quantifier=Quantifier(quantifier) if quantifier else None,
        negated=negated,
        if_absent=negated or bool(match["if"]),
        wanted=tuple(prepare(text, variables=variables) for text in texts),
        variables=frozenset(_named(texts)) if variables else frozenset(),
    )


def _texts(element: Any) -> Iterator[str]:
    for value in element if isinstance(element, list) else [element]:
        match value:
            case bool():
                yield str(value).lower()
            case str() | int() | float():
                yield str(value)
            case _:
                raise ValueError("a value must be a text, a number, true or false")


def _named(texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield from variable_keys(tokens_of(text, variables=True, wildcards=False))


def _equals(text: str, *, variables: bool) -> Predicate:
    tokens = tokens_of(text, variables=variables, wildcards=False)
    return lambda value, context: text_of(tokens, context) == value


def _equals_ignoring_case(text: str, *, variables: bool) -> Predicate:
    tokens = tokens_of(text, variables=variables, wildcards=False)

    def fits(value: str, context: Context) -> bool:
        wanted = text_of(tokens, context)
        return wanted is not None and wanted.casefold() == value.casefold()

    return fits


def _like(text: str, *, variables: bool) -> Predicate:
    tokens = tokens_of(text, variables=variables, wildcards=True)
    return lambda value, context: matches(tokens, value, context)


def _arn_like(text: str, *, variables: bool) -> Predicate:
    if not text.startswith("arn:"):
        raise PatternError(f"a value must be an ARN, not {text!r}")
    parts = arn_parts(tokens_of(text, variables=variables, wildcards=True))
    return lambda value, context: arn_matches(parts, value, context)


def _boolean(text: str, *, variables: bool) -> Predicate:
    del variables
    return lambda value, _: value.lower() == text.lower()


def _address(text: str, *, variables: bool) -> Predicate:
    del variables
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"a value must be an IP address or a range such as 192.0.2.0/24, not {text!r}"
        ) from None

    def fits(value: str, _: Context) -> bool:
        address = _read_address(value)
        return address is not None and address in network

    return fits


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # an IPv4 client of a dual-stack socket
    return getattr(address, "ipv4_mapped", None) or address


def _comparison(
    read: Callable[[str], Any], kind: str, compare: Callable[[Any, Any], bool]
) -> Callable[..., Predicate]:
    def prepare(text: str, *, variables: bool) -> Predicate:
        del variables
        wanted = read(text)
        if wanted is None:
            raise ValueError(f"a value must be {kind}, not {text!r}")

        def fits(value: str, _: Context) -> bool:
            actual = read(value)
            return actual is not None and compare(actual, wanted)

        return fits

    return prepare


def _read_number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _read_date(text: str) -> datetime | None:
    """Parse a time: ISO 8601, in UTC by default, or seconds since 1970."""
    try:
        if re.fullmatch(r"[0-9]{1,11}", text):
            return datetime.fromtimestamp(int(text), UTC)
        read = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


_TRUTHS = {"true": True, "false": False}

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda actual, wanted: actual == wanted,
    "LessThan": lambda actual, wanted: actual < wanted,
    "LessThanEquals": lambda actual, wanted: actual <= wanted,
    "GreaterThan": lambda actual, wanted: actual > wanted,
    "GreaterThanEquals": lambda actual, wanted: actual >= wanted,
}


def _comparisons(
    name: str, read: Callable[[str], Any], kind: str
) -> Iterator[tuple[str, tuple[Callable[..., Predicate], bool]]]:
    for suffix, compare in _COMPARISONS.items():
        yield f"{name}{suffix}", (_comparison(read, kind, compare), False)
    yield f"{name}NotEquals", (_comparison(read, kind, _COMPARISONS["Equals"]), True)


OPERATORS: Mapping[str, tuple[Callable[..., Predicate], bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "Bool": (_boolean, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    "ArnEquals": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    **dict(_comparisons("Numeric", _read_number, "a number")),
    **dict(_comparisons("Date", _read_date, "a time such as 2030-01-31T08:00:00Z")),
}
"""Operator -> a function that builds its predicate, and whether it is negated."""
