"""Patterns in policies, with wildcards and variables.

`*` matches any number of characters and `?` one. `${key}` is the value of a condition key, and
`${key, 'text'}` has a default. `${*}`, `${?}` and `${$}` are the characters themselves. The value
of a variable has no wildcards.

Source: AWS IAM User Guide, "IAM policy elements: Variables and tags" and "IAM JSON policy elements:
Resource".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import takewhile

from blemish.domain.access.context import Context, key_problem

ARN_PARTS = 6
"""arn, partition, service, region, account, resource."""

_VARIABLE = re.compile(r"\$\{(?P<key>[^{},']*)(?:, *'(?P<default>[^']*)')?\}")


class PatternError(ValueError):
    """A pattern cannot be parsed; the message says why."""


class Wildcard(Enum):
    """A wildcard."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, whose value comes from the request."""

    key: str
    #: value if the request has none; None if nothing matches then
    default: str | None


class Coverage(Enum):
    """The share of the resources below a prefix that a pattern matches."""

    ALL = "all"
    #: or none, or all: patterns are not examined further
    SOME = "some"
    NONE = "none"


Token = str | Wildcard | Variable
Tokens = tuple[Token, ...]


def tokens_of(text: str, *, variables: bool, wildcards: bool) -> Tokens:
    """Parse a pattern; without `variables` or `wildcards`, their characters are literal.

    Raises:
        PatternError: a variable is malformed, or its key is unknown.
    """
    tokens: list[Token] = []
    position = 0
    for match in _VARIABLE.finditer(text) if variables else ():
        tokens += _plain(text[position : match.start()], variables=True, wildcards=wildcards)
        tokens.append(_variable(match))
        position = match.end()
    return (*tokens, *_plain(text[position:], variables=variables, wildcards=wildcards))


def matches(tokens: Tokens, value: str, context: Context) -> bool:
    """Return whether a text matches. Nothing matches if a variable has no value."""
    return _matches(_resolved(tokens, context), value)


def text_of(tokens: Tokens, context: Context) -> str | None:
    """Return the text of a pattern without wildcards; None if a variable has no value."""
    resolved = _resolved(tokens, context)
    return None if resolved is None else "".join(map(str, resolved))


def arn_parts(tokens: Tokens) -> tuple[Tokens, ...]:
    """Split an ARN into six parts. A missing part matches everything.

    Source: AWS IAM User Guide, "IAM JSON policy elements: Resource", incomplete ARNs.
    """
    parts: list[list[Token]] = [[]]
    for token in tokens:
        values = token.split(":", ARN_PARTS - len(parts)) if isinstance(token, str) else [token]
        for number, value in enumerate(values):
            if number:
                parts.append([])
            if value != "":
                parts[-1].append(value)
    parts += [[Wildcard.MANY]] * (ARN_PARTS - len(parts))
    return tuple(map(tuple, parts))


def arn_matches(parts: Sequence[Tokens], arn: str, context: Context) -> bool:
    """Return whether an ARN matches, part by part.

    A wildcard stops at a colon, except in the last part, which may contain colons.
    """
    values = arn.split(":", ARN_PARTS - 1)
    return len(values) == ARN_PARTS and all(
        matches(tokens, value, context) for tokens, value in zip(parts, values, strict=True)
    )


def arn_coverage(parts: Sequence[Tokens], prefix: str, context: Context) -> Coverage:
    """Return how many of the ARNs that begin with `prefix` match.

    Args:
        parts: of the pattern.
        prefix: the beginning of ARNs, which ends in their last part.
        context: values of variables.
    """
    *firsts, beginning = prefix.split(":", ARN_PARTS - 1)
    *patterns, last = parts
    if not all(
        matches(tokens, value, context) for tokens, value in zip(patterns, firsts, strict=True)
    ):
        return Coverage.NONE
    resolved = _resolved(last, context)
    if resolved is None:
        return Coverage.NONE
    head = "".join(map(str, takewhile(lambda token: isinstance(token, str), resolved)))
    ends_open = resolved[-1:] == (Wildcard.MANY,)
    is_literal_before = all(isinstance(token, str) for token in resolved[:-1])
    if ends_open and is_literal_before and beginning.startswith(head):
        return Coverage.ALL
    is_possible = head.startswith(beginning) or beginning.startswith(head)
    return Coverage.SOME if is_possible else Coverage.NONE


def variable_keys(tokens: Tokens) -> Iterator[str]:
    """Yield the condition keys of the variables."""
    return (token.key for token in tokens if isinstance(token, Variable))


def _plain(text: str, *, variables: bool, wildcards: bool) -> Iterator[Token]:
    if variables and "${" in text:
        raise PatternError(f"{text!r} has a variable that is not closed or not well-formed")
    if not wildcards:
        return iter((text,) if text else ())
    tokens = filter(None, re.split(r"([*?])", text))
    return (Wildcard(token) if token in {"*", "?"} else token for token in tokens)


def _variable(match: re.Match[str]) -> Token:
    key, default = match["key"], match["default"]
    if key in {"*", "?", "$"} and default is None:
        return str(key)
    if problem := key_problem(key, several=False):
        raise PatternError(f"the variable {match[0]} cannot be used: {problem}")
    return Variable(key=key, default=default)


def _resolved(tokens: Tokens, context: Context) -> tuple[str | Wildcard, ...] | None:
    resolved: list[str | Wildcard] = []
    for token in tokens:
        if not isinstance(token, Variable):
            resolved.append(token)
            continue
        value = next(iter(context.values(token.key)), token.default)
        if value is None:
            return None
        resolved.append(value)
    return tuple(resolved)


def _matches(resolved: tuple[str | Wildcard, ...] | None, value: str) -> bool:
    return resolved is not None and _compiled(resolved).fullmatch(value) is not None


@lru_cache(maxsize=4_096)
def _compiled(resolved: tuple[str | Wildcard, ...]) -> re.Pattern[str]:
    """Return a regular expression without backtracking, so that matching takes linear time."""
    chunks: list[str] = [""]
    for token in resolved:
        if token is Wildcard.MANY:
            chunks.append("")
        else:
            chunks[-1] += "." if token is Wildcard.ONE else re.escape(str(token))
    first, *others = chunks
    if not others:
        return re.compile(first, re.DOTALL)
    *between, last = others
    middle = "".join(f"(?>.*?{chunk})" for chunk in between)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)
