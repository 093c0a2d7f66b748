"""IAM policy documents: parsing and evaluation.

A statement applies if action, resource and every condition match. A denying statement wins over
allowing ones. Without an allowing statement, a request is denied.

Source: AWS IAM User Guide, "IAM JSON policy element reference", "Grammar of the IAM JSON policy
language" and "Policy evaluation logic".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from blemish.domain.access.conditions import Condition, Presence, conditions_of
from blemish.domain.access.context import Context, is_resource_tag
from blemish.domain.access.patterns import (
    Coverage,
    PatternError,
    Tokens,
    Variable,
    Wildcard,
    arn_coverage,
    arn_matches,
    arn_parts,
    matches,
    tokens_of,
    variable_keys,
)

ANY_RESOURCE = "*"
"""Resource of actions without one; only a statement for all resources matches it."""

WITH_VARIABLES = "2012-10-17"
VERSIONS = ("2008-10-17", WITH_VARIABLES)

_ELEMENTS = ("Version", "Id", "Statement")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_NOBODY = Context()


class PolicyError(ValueError):
    """A document is not a valid policy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        #: sentences
        self.problems = tuple(problems)


class Decision(Enum):
    """The decision of a policy on a request."""

    ALLOWED = "allowed"
    #: a statement denies it
    DENIED = "denied"
    #: no statement allows it
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, kw_only=True)
class Actions:
    """The actions of a statement, or with `negated` all others."""

    patterns: tuple[Tokens, ...]
    negated: bool

    def include(self, action: str) -> bool:
        """Return whether an action matches, ignoring case."""
        name = action.lower()
        return any(matches(pattern, name, _NOBODY) for pattern in self.patterns) != self.negated


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The resources of a statement, or with `negated` all others."""

    #: parts of an ARN; empty for every resource
    patterns: tuple[tuple[Tokens, ...], ...]
    negated: bool

    def include(self, resource: str, context: Context) -> bool:
        """Return whether a resource matches."""
        is_covered = any(
            not parts or arn_matches(parts, resource, context) for parts in self.patterns
        )
        return is_covered != self.negated

    def coverage(self, prefix: str, context: Context) -> Coverage:
        """Return how many of the resources that begin with `prefix` match."""
        coverages = {
            arn_coverage(parts, prefix, context) if parts else Coverage.ALL
            for parts in self.patterns
        }
        if Coverage.ALL in coverages:
            return Coverage.NONE if self.negated else Coverage.ALL
        if Coverage.SOME in coverages:
            return Coverage.SOME
        return Coverage.ALL if self.negated else Coverage.NONE


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of a policy."""

    allows: bool
    actions: Actions
    resources: Resources
    conditions: tuple[Condition | Presence, ...]

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Return whether the statement applies to a request."""
        return self._concerns(action, context) and self.resources.include(resource, context)

    def coverage(self, action: str, prefix: str, context: Context) -> Coverage:
        """Return for how many of the resources that begin with `prefix` the statement applies."""
        if not self._concerns(action, context):
            return Coverage.NONE
        return self.resources.coverage(prefix, context)

    def _concerns(self, action: str, context: Context) -> bool:
        return self.actions.include(action) and all(
            condition.holds(context) for condition in self.conditions
        )

    @property
    def is_for_all(self) -> bool:
        """Whether the statement applies to every resource, always."""
        return not (self.conditions or self.resources.negated or all(self.resources.patterns))

    def condition_keys(self) -> Iterator[str]:
        """Yield the condition keys of the statement."""
        for parts in self.resources.patterns:
            for tokens in parts:
                yield from variable_keys(tokens)
        for condition in self.conditions:
            yield condition.key
            if isinstance(condition, Condition):
                yield from condition.variables


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy: the statements of a document."""

    statements: tuple[Statement, ...]
    #: whether its decisions depend on tags of the resource
    reads_resource_tags: bool

    def decide(self, action: str, resource: str, context: Context) -> Decision:
        """Return the decision on an action on a resource.

        Args:
            action: for example `lookoutvision:CreateModel`.
            resource: an ARN, or `ANY_RESOURCE`.
            context: the condition keys of the request.
        """
        applying = [
            statement
            for statement in self.statements
            if statement.applies(action, resource, context)
        ]
        if not applying:
            return Decision.NOT_ALLOWED
        allowed = all(statement.allows for statement in applying)
        return Decision.ALLOWED if allowed else Decision.DENIED

    def allows_somewhere(self, action: str) -> bool:
        """Return whether an action may be allowed on some resource under some conditions."""
        concerning = [
            statement for statement in self.statements if statement.actions.include(action)
        ]
        return any(statement.allows for statement in concerning) and not any(
            statement.is_for_all for statement in concerning if not statement.allows
        )

    def allows_below(self, action: str, prefix: str, context: Context) -> bool:
        """Return whether an action is allowed on all resources that begin with `prefix`.

        False if a statement distinguishes them: then each has to be decided by itself.
        """
        allowed = False
        for statement in self.statements:
            coverage = statement.coverage(action, prefix, context)
            if statement.allows:
                allowed = allowed or coverage is Coverage.ALL
            elif coverage is not Coverage.NONE:
                return False
        return allowed


NOTHING = Policy(statements=(), reads_resource_tags=False)
"""The policy that allows nothing."""


def parse_policy(document: str) -> Policy:
    """Parse a policy document.

    Raises:
        PolicyError: it is not valid; the error lists every problem.
    """
    problems: list[str] = []
    try:
        content = json.loads(document, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise PolicyError([f"The policy is no JSON: {error}."]) from None
    if not isinstance(content, Mapping):
        raise PolicyError(["The policy must be a JSON object with Version and Statement."])
    problems += [
        f"{name} is no element of a policy; there are {', '.join(_ELEMENTS)}."
        for name in content
        if name not in _ELEMENTS
    ]
    version = content.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        problems.append(f"Version must be {' or '.join(VERSIONS)}, not {version!r}.")
    value = content.get("Statement")
    elements: list[Any] = value if isinstance(value, list) else [value]
    if not elements or not all(isinstance(item, Mapping) for item in elements):
        raise PolicyError([*problems, "Statement must be an object or a list of objects."])
    statements = []
    for number, element in enumerate(elements, start=1):
        statement, wrong = _statement(element, variables=version == WITH_VARIABLES)
        problems += [f"Statement {number}: {problem}." for problem in wrong]
        statements.append(statement)
    problems += _doubled_sids(elements)
    if problems:
        raise PolicyError(problems)
    return Policy(
        statements=tuple(statements),
        reads_resource_tags=any(
            is_resource_tag(key) for statement in statements for key in statement.condition_keys()
        ),
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(doubled)} stands twice in one object")
    return dict(pairs)


def _statement(element: Mapping[str, Any], *, variables: bool) -> tuple[Statement, list[str]]:
    problems = [_unknown_element(name) for name in element if name not in _PARTS]
    effect = element.get("Effect")
    if effect not in ("Allow", "Deny"):
        problems.append(f"Effect must be Allow or Deny, not {effect!r}")
    if not isinstance(element.get("Sid", ""), str):
        problems.append(f"Sid must be a text, not {element['Sid']!r}")
    actions, negated_actions = _patterns(element, "Action", problems)
    resources, negated_resources = _patterns(element, "Resource", problems)
    conditions, wrong = conditions_of(element.get("Condition", {}), variables=variables)
    return Statement(
        allows=effect == "Allow",
        actions=Actions(
            patterns=tuple(_collected(_action, actions, problems)), negated=negated_actions
        ),
        resources=Resources(
            patterns=tuple(
                _collected(lambda text: _resource(text, variables=variables), resources, problems)
            ),
            negated=negated_resources,
        ),
        conditions=conditions,
    ), problems + wrong


_PARTS = (
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


def _unknown_element(name: str) -> str:
    if name in {"Principal", "NotPrincipal"}:
        return f"{name} must not be there: the policy is that of the key that it is given to"
    return f"{name} is no element of a statement; there are {', '.join(_PARTS)}"


def _patterns(element: Mapping[str, Any], name: str, problems: list[str]) -> tuple[list[str], bool]:
    """Return the values of an element or of its negation, and whether it is negated."""
    there = [key for key in (name, f"Not{name}") if key in element]
    if len(there) != 1:
        problems.append(f"there must be either {name} or Not{name}")
        return [], False
    value = element[there[0]]
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        problems.append(f"{there[0]} must be a text or a list of texts")
        return [], False
    return texts, there[0] != name


def _collected(read: Any, texts: list[str], problems: list[str]) -> Iterator[Any]:
    for text in texts:
        try:
            yield read(text)
        except PatternError as error:
            problems.append(str(error))


def _action(text: str) -> Tokens:
    if not _ACTION.fullmatch(text):
        raise PatternError(
            f"an action must be * or SERVICE:NAME such as lookoutvision:Describe*, not {text!r}"
        )
    return tokens_of(text.lower(), variables=False, wildcards=True)


def _resource(text: str, *, variables: bool) -> tuple[Tokens, ...]:
    if text == ANY_RESOURCE:
        return ()
    parts = arn_parts(tokens_of(text, variables=variables, wildcards=True))
    if parts[0] != ("arn",) or not _is_plain(parts[1]) or not _is_plain(parts[2]):
        raise PatternError(
            f"a resource must be * or an ARN that names its service, such as "
            f"arn:aws:s3:::images/*, not {text!r}"
        )
    if any(isinstance(token, Variable) for tokens in parts[:5] for token in tokens):
        raise PatternError(f"{text!r} has a variable before its fifth colon")
    return parts


def _is_plain(tokens: Tokens) -> bool:
    return bool(tokens) and not any(isinstance(token, Wildcard | Variable) for token in tokens)


def _doubled_sids(elements: list[Mapping[str, Any]]) -> Iterator[str]:
    sids = [element["Sid"] for element in elements if isinstance(element.get("Sid"), str)]
    for sid in sorted({sid for sid in sids if sids.count(sid) > 1}):
        yield f"Two statements have the Sid {sid!r}."
