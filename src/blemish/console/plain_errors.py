"""Errors of the API in plain words: which field is wrong, and what it takes; no regex, no ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    "projectName": "The name of the project",
    "trialName": "The name of the trial",
    "batchName": "The name of the batch",
    "jobName": "The name of the package",
    "componentName": "The name of the component",
    "componentVersion": "The version of the component",
    "componentDescription": "The description of the component",
    "modelVersion": "The version of the model",
    "description": "The description",
    "kmsKeyId": "The KMS key",
    "outputConfig.s3Location.bucket": "The bucket for the results",
    "outputConfig.s3Location.prefix": "The folder for the results",
    "detectorSettings.resolution": "The resolution",
    "detectorSettings.sensitivity": "The sensitivity",
    "minInferenceUnits": "The number of inference units",
    "maxInferenceUnits": "The greatest number of inference units",
    "threshold": "The threshold",
}
"""Path of a member in messages of the API -> the field that people see."""

LAST_PARTS: Mapping[str, str] = {
    "key": "The key of a tag",
    "value": "The value of a tag",
    "bucket": "The bucket",
    "prefix": "The folder",
}
"""End of a path -> the field that people see."""

PATTERNS: Mapping[str, str] = {
    r"[a-zA-Z0-9][a-zA-Z0-9_\-]*": "has letters, digits, - and _; it begins with a letter or digit",
    r"[0-9A-Za-z\.\-_]*": "has letters, digits, dots, - and _; no spaces",
    r"[a-zA-Z0-9-_.]+": "has letters, digits, dots, - and _; no spaces",
    r"[a-zA-Z0-9-_. ()':,;?]+": "has letters, digits, spaces and - _ . ( ) ' : , ; ?",
    r"[a-zA-Z0-9-]+": "has letters, digits and hyphens; no spaces",
    r"^[a-zA-Z0-9-]+$": "has letters, digits and hyphens; no spaces",
    r"auto|[1-9][0-9]{1,3}": "is auto, or a number of pixels such as 256",
    r"([1-9][0-9]*|latest)": "is a number such as 1, or latest",
    r"([1-9][0-9]*)": "is a number such as 1",
    r"^([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})$": "has three numbers with dots, such as 1.0.0",
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": "has letters, digits, spaces and _ . : / = + - @",
    r"^([a-zA-Z0-9!_.*'()-][/a-zA-Z0-9!_.*'()-]*)?$": "has letters, digits and / ! _ . * ' ( ) -",
    r"^[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}$": "is the name or the address of a key",
    r".*\S.*": "is not empty",
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
        return f"You may not do that: your policies do not allow {denied['action']}."
    problems = list(_PROBLEM.finditer(message))
    if problems and "validation error" in message:
        empty = {problem["path"] for problem in problems if problem["demand"] == EMPTY}
        wanted = [p for p in problems if p["path"] not in empty or p["demand"] == EMPTY]
        return " ".join(map(_problem_text, wanted))
    return _capital(_ARN.sub(_resource_text, message))


def _problem_text(problem: re.Match[str]) -> str:
    field, demand = _field_text(problem["path"]), problem["demand"]
    if demand == "not be null":
        return f"{field} is missing."
    if demand == EMPTY:
        return f"{field} must not be empty."
    if size := _SIZE.fullmatch(demand):
        return f"{field} {_size_text(size)}."
    pattern = demand.removeprefix("satisfy regular expression pattern: ")
    if words := PATTERNS.get(pattern):
        return f"{field} {words}: {problem['value']} is not possible."
    if demand.startswith("satisfy enum value set: "):
        choices = demand.partition("[")[2].removesuffix("]")
        return f"{field} is one of {choices}, not {problem['value']}."
    return f"{field} cannot be {problem['value']}."


def _size_text(size: re.Match[str]) -> str:
    unit = "" if size["measure"] == "value" else " characters"
    bound = "at least" if size["way"] == "greater" else "at most"
    verb = "is" if size["measure"] == "value" else "has"
    return f"{verb} {bound} {size['limit']}{unit}"


def _field_text(path: str) -> str:
    if path in FIELDS:
        return FIELDS[path]
    last = path.rsplit(".", 1)[-1]
    if last in LAST_PARTS:
        return LAST_PARTS[last]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last).lower()
    return f"The field {words}"


def _resource_text(arn: re.Match[str]) -> str:
    project, _, rest = arn["rest"].partition("/")
    match arn["kind"]:
        case "model" if rest:
            return f"model {rest} of {project}"
        case "dataset" if rest:
            return f"the {rest.partition('/')[0]} set of {project}"
    return f"{arn['kind'].replace('-', ' ')} {arn['rest']}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
