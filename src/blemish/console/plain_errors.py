"""Errors of the API in plain words: which field is wrong, and what it takes; no regex, no ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping

from blemish.console.language.messages import later, say

FIELDS: Mapping[str, str] = {
    "projectName": later("The name of the project"),
    "trialName": later("The name of the trial"),
    "batchName": later("The name of the batch"),
    "jobName": later("The name of the package"),
    "componentName": later("The name of the component"),
    "componentVersion": later("The version of the component"),
    "componentDescription": later("The description of the component"),
    "modelVersion": later("The version of the model"),
    "description": later("The description"),
    "kmsKeyId": later("The KMS key"),
    "outputConfig.s3Location.bucket": later("The bucket for the results"),
    "outputConfig.s3Location.prefix": later("The folder for the results"),
    "detectorSettings.resolution": later("The resolution"),
    "detectorSettings.sensitivity": later("The sensitivity"),
    "minInferenceUnits": later("The number of inference units"),
    "maxInferenceUnits": later("The greatest number of inference units"),
    "threshold": later("The threshold"),
}
"""Path of a member in messages of the API -> the field that people see."""

LAST_PARTS: Mapping[str, str] = {
    "key": later("The key of a tag"),
    "value": later("The value of a tag"),
    "bucket": later("The bucket"),
    "prefix": later("The folder"),
}
"""End of a path -> the field that people see."""

PATTERNS: Mapping[str, str] = {
    r"[a-zA-Z0-9][a-zA-Z0-9_\-]*": later(
        "has letters, digits, - and _; it begins with a letter or digit"
    ),
    r"[0-9A-Za-z\.\-_]*": later("has letters, digits, dots, - and _; no spaces"),
    r"[a-zA-Z0-9-_.]+": later("has letters, digits, dots, - and _; no spaces"),
    r"[a-zA-Z0-9-_. ()':,;?]+": later("has letters, digits, spaces and - _ . ( ) ' : , ; ?"),
    r"[a-zA-Z0-9-]+": later("has letters, digits and hyphens; no spaces"),
    r"^[a-zA-Z0-9-]+$": later("has letters, digits and hyphens; no spaces"),
    r"auto|[1-9][0-9]{1,3}": later("is auto, or a number of pixels such as 256"),
    r"([1-9][0-9]*|latest)": later("is a number such as 1, or latest"),
    r"([1-9][0-9]*)": later("is a number such as 1"),
    r"^([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})$": later(
        "has three numbers with dots, such as 1.0.0"
    ),
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": later("has letters, digits, spaces and _ . : / = + - @"),
    r"^([a-zA-Z0-9!_.*'()-][/a-zA-Z0-9!_.*'()-]*)?$": later(
        "has letters, digits and / ! _ . * ' ( ) -"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}$": later("is the name or the address of a key"),
    r".*\S.*": later("is not empty"),
}
"""Pattern of the service model -> what a value is."""

EMPTY = "have length greater than or equal to 1"

_PROBLEM = re.compile(
    r"Value (?P<value>.*?) at '(?P<path>[^']+)' failed to satisfy constraint: Member must "
    r"(?P<demand>.+?)(?=; Value | ?; and \d+ more|$)",
    re.DOTALL,
)
_SIZE = re.compile(
    r"have (?P<measure>length|value) (?P<way>greater|less) than or equal to (?P<limit>\S+)"
)
_ARN = re.compile(
    r"(?:Model |model )?arn:[^:\s]*:lookoutvision:[^:\s]*:[^:\s]*:"
    r"(?P<kind>[a-z-]+)/(?P<rest>[^\s,;:\"']*[^\s,;:.\"'])"
)
_DENIED = re.compile(
    r"User: \S+ is not authorized to perform: (?:[a-z0-9-]+:)?(?P<action>\w+) on .*", re.DOTALL
)


def plain_text(message: str) -> str:
    """Return a message of the API as people read it; other messages stay as they are."""
    if denied := _DENIED.fullmatch(message):
        return say(
            "You may not do that: your policies do not allow {action}.", action=denied["action"]
        )
    problems = list(_PROBLEM.finditer(message))
    if problems and "validation error" in message:
        empty = {problem["path"] for problem in problems if problem["demand"] == EMPTY}
        wanted = [p for p in problems if p["path"] not in empty or p["demand"] == say(EMPTY)]
        return " ".join(map(_problem_text, wanted))
    return _capital(_ARN.sub(_resource_text, message))


def _problem_text(problem: re.Match[str]) -> str:
    field, demand = _field_text(problem["path"]), problem["demand"]
    if demand == "not be null":
        return say("{field} is missing.", field=field)
    if demand == say(EMPTY):
        return say("{field} must not be empty.", field=field)
    if size := _SIZE.fullmatch(demand):
        return _size_text(field, size)
    pattern = demand.removeprefix("satisfy regular expression pattern: ")
    if words := PATTERNS.get(pattern):
        return say(
            "{field} {words}: {value} is not possible.",
            field=field,
            words=say(words),
            value=problem["value"],
        )
    if demand.startswith("satisfy enum value set: "):
        choices = demand.partition("[")[2].removesuffix("]")
        return say(
            "{field} is one of {choices}, not {value}.",
            field=field,
            choices=choices,
            value=problem["value"],
        )
    return say("{field} cannot be {value}.", field=field, value=problem["value"])


def _size_text(field: str, size: re.Match[str]) -> str:
    limit = size["limit"]
    match size["measure"], size["way"]:
        case "value", "greater":
            return say("{field} is at least {limit}.", field=field, limit=limit)
        case "value", _:
            return say("{field} is at most {limit}.", field=field, limit=limit)
        case _, "greater":
            return say("{field} has at least {limit} characters.", field=field, limit=limit)
    return say("{field} has at most {limit} characters.", field=field, limit=limit)


def _field_text(path: str) -> str:
    if path in FIELDS:
        return say(FIELDS[path])
    last = path.rsplit(".", 1)[-1]
    if last in LAST_PARTS:
        return say(LAST_PARTS[last])
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last).lower()
    return say("The field {words}", words=words)


def _resource_text(arn: re.Match[str]) -> str:
    project, _, rest = arn["rest"].partition("/")
    match arn["kind"]:
        case "model" if rest:
            return say("model {version} of {project}", version=rest, project=project)
        case "dataset" if rest:
            if rest.partition("/")[0] == "train":
                return say("the train set of {project}", project=project)
            return say("the test set of {project}", project=project)
    return f"{arn['kind'].replace('-', ' ')} {arn['rest']}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
