"""Requests of every kind for the operations of a service model: good, nearly good, and hostile.

A request is built from the shapes of its operation. A good one has members that fulfil every
constraint, with names that may exist; a nearly good one has a member that does not; a hostile one
is changed as bytes. All randomness is the generator's, so a seed gives the same requests again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import regex
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from blemish.wire.canonical import ALGORITHM, SCOPE_END, canonical_request, sign
from blemish.wire.messages import HttpRequest

KINDS = {"good": 3, "nearly good": 4, "hostile": 3}
"""How often each kind comes, by weight."""

CANDIDATES = (
    *("a", "abc-1", "A_b.c", "1", "1.0.0", "#00FF00", "Line 4", "train", "µ-Ω é"),
    *("arn:aws:greengrass:eu-west-1:aws:components:c", "x" * 64, "b/c.json", "0"),
)
"""Texts of which one fits most patterns."""

ODD_TEXTS = (
    *("", " ", "..", "../../etc/passwd", "a/../b", "%2e%2e%2f", "a\x00b", "a\nb", "\u202eabc"),
    *("'; DROP TABLE projects;--", "<img src=x onerror=alert(1)>", "${jndi:ldap://localhost/a}"),
    *("é", "名前", "\U0001f600" * 40, "{}", "null", "NaN", "true", "-1", "0", "9" * 40),
    *("a" * 256, "a" * 2_049, "b" * 20_000, "latest", "LATEST", "01", "1e3", "+1", "\uff11"),
    *(
        "s3://bucket/key",
        "arn:aws:lookoutvision:us-east-1:000000000000:model/x/1",
        "arn:aws:s3:::b",
    ),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 1e308, [], {}, [[]], [None]),
    *({"a": {"b": []}}, ["a", 1], [{}] * 300, "text", "\ud800", "=" * 9, "AAAA"),
)
ODD_BODIES = (
    *(b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{}" * 10, b'{"a":NaN}', b"\x00" * 100),
    *(b"[" * 50_000, b'{"ProjectName":"a","ProjectName":"b"}', b"<xml/>", b'{"a":1e999}'),
)
ODD_PATHS = (
    *("/", "//", "/2020-11-20", "/2020-11-20/projects/", "/2020-11-20//projects", "/%", "/%zz"),
    *("/2020-11-20/projects/%ff", "/2020-11-20/projects/a%2Fb", "/2020-11-20/projects/..", "/*"),
    *("/2020-11-20/projects/a/models/1/../../..", "/2020-11-20/tags/%00", "/a" * 3_000),
)
ODD_QUERIES = ("%", "=", "&&", "a=%ff", "maxResults=1&maxResults=2", "nextToken=%00", "x" * 9_000)
ODD_HEADERS = ("", "text/plain", "image/jpeg", "image/png; charset=utf-8", "a" * 4_000, "é", ",;=")
ODD_AUTHORIZATIONS = ("", "AWS4-HMAC-SHA256", "Basic YTpi", "AWS4-HMAC-SHA256 a=b,c=d", "é" * 99)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request before it is signed, and what it was meant to be."""

    kind: str
    operation: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    #: changes the headers of the signed request
    after_signing: Callable[[dict[str, str]], dict[str, str]] = field(default=dict)


@dataclass(frozen=True, kw_only=True)
class Pools:
    """What exists, or may exist, at the server, by the name of the member that says it."""

    values: Mapping[str, Sequence[Any]]
    #: values for operations that change something, where others than `values`
    of_changes: Mapping[str, Sequence[Any]]


class Fuzzer:
    """Makes requests."""

    def __init__(self, model: ServiceModel, pools: Pools, *, seed: int) -> None:
        self._operations = [model.operation_model(name) for name in model.operation_names]
        self._pools = pools
        self._random = random.Random(seed)
        #: operations whose turn comes before any comes again
        self._round: list[OperationModel] = []

    def request(self) -> Request:
        """Make the next request."""
        kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
        if not self._round:
            self._round = self._random.sample(self._operations, len(self._operations))
        operation = self._round.pop()
        members = self._members(operation)
        if kind == "nearly good":
            self._spoil(operation, members)
        made = _serialized(operation, members, kind=kind)
        return self._attack(made) if kind == "hostile" else made

    def _members(self, operation: OperationModel) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        changes = not operation.name.startswith(("Describe", "List", "Detect"))
        return {
            name: self._value(shape.members[name], name, changes=changes)
            for name in shape.members
            if name in shape.required_members or self._random.random() < 0.3
        }

    def _value(self, shape: Shape, name: str, *, changes: bool) -> Any:
        pool = self._pools.of_changes.get(name) if changes else None
        if pool := pool or self._pools.values.get(name):
            return deepcopy(self._random.choice(pool))  # it may be spoiled
        match shape:
            case StructureShape():
                return {
                    each: self._value(shape.members[each], each, changes=changes)
                    for each in shape.members
                    if each in shape.required_members or self._random.random() < 0.5
                }
            case ListShape():
                count = self._random.randint(0, 3)
                return [self._value(shape.member, name, changes=changes) for _ in range(count)]
            case Shape(type_name="blob"):
                return self._random.randbytes(self._random.randint(1, 200))
            case Shape(type_name="boolean"):
                return self._random.random() < 0.5
            case Shape(type_name="integer" | "long"):
                return self._random.randint(1, 100)
            case Shape(type_name="float" | "double"):
                return self._random.random()
            case Shape(type_name="timestamp"):
                return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=self._random.random())
        return self._text(shape)

    def _text(self, shape: Shape) -> str:
        if enum := shape.metadata.get("enum"):
            return str(self._random.choice(enum))
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 100)
        pattern = regex.compile(shape.metadata.get("pattern", ".*"))
        fitting = [
            text
            for text in (*CANDIDATES, f"n{self._random.randrange(10**6)}", "y" * least, "y" * most)
            if least <= len(text) <= most and pattern.fullmatch(text)
        ]
        return self._random.choice(fitting or ["a"])

    def _spoil(self, operation: OperationModel, members: dict[str, Any]) -> None:
        """Put a wrong value somewhere into the members, or leave one out."""
        place: Any = members
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = self._random.choice(keys)
            inside = place[key]
            if isinstance(inside, dict | list) and inside and self._random.random() < 0.7:
                place = inside
                continue
            if isinstance(place, dict) and self._random.random() < 0.2:
                del place[key]
            elif isinstance(inside, str) and self._random.random() < 0.7:
                place[key] = self._random.choice(ODD_TEXTS)
            else:
                place[key] = deepcopy(self._random.choice(ODD_VALUES))
            break
        if self._random.random() < 0.1 and operation.input_shape:
            members["NoSuchMember"] = self._random.choice(ODD_VALUES)

    def _attack(self, made: Request) -> Request:
        attack = self._random.choice([self._rewritten, self._rerouted, self._forged])
        return attack(made)

    def _rewritten(self, made: Request) -> Request:
        """Change body or headers, and sign what comes of it."""
        odd = self._random.choice(ODD_HEADERS)
        match self._random.randrange(4):
            case 0:
                return replace(made, body=self._random.choice(ODD_BODIES))
            case 1:
                return replace(made, body=self._damaged(made.body))
            case 2:
                return replace(made, headers={**made.headers, "content-type": odd})
        return replace(made, headers={**made.headers, "x-amz-client-token": odd})

    def _rerouted(self, made: Request) -> Request:
        """Change method, path or query, and sign what comes of it."""
        match self._random.randrange(3):
            case 0:
                return replace(made, path=self._random.choice(ODD_PATHS))
            case 1:
                return replace(made, query=self._random.choice(ODD_QUERIES))
        return replace(made, method=self._random.choice(METHODS))

    def _forged(self, made: Request) -> Request:
        """Change headers once they are signed."""
        name = self._random.choice(["x-amz-date", "host", "x-amz-content-sha256", "authorization"])
        authorization = self._random.choice(ODD_AUTHORIZATIONS)
        forgeries: list[Callable[[dict[str, str]], dict[str, str]]] = [
            lambda headers: {k: v for k, v in headers.items() if k != "authorization"},
            lambda headers: {**headers, "authorization": authorization},
            lambda headers: {**headers, "x-amz-extra": "1"},
            lambda headers: {**headers, name: headers[name][:-1] + "0"},
        ]
        return replace(made, after_signing=self._random.choice(forgeries))

    def _damaged(self, body: bytes) -> bytes:
        if not body:
            return self._random.randbytes(50)
        data = bytearray(body)
        for _ in range(self._random.randint(1, 8)):
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        return bytes(data[: self._random.randint(1, len(data))])


def signed_headers(
    request: Request, *, host: str, key_id: str, secret: str, now: datetime
) -> dict[str, str]:
    """Return all headers of a request, with its signature."""
    timestamp, scope = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}/us-east-1/lookoutvision/{SCOPE_END}"
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    headers = {
        **request.headers,
        "host": host,
        "x-amz-date": timestamp,
        "x-amz-content-sha256": body_sha256,
    }
    names = sorted(headers)
    read = {name: value.encode().decode("latin-1").strip() for name, value in headers.items()}
    canonical = canonical_request(
        HttpRequest(request.method, request.path, request.query, read, b""),
        signed_headers=names,
        body_sha256=body_sha256,
    )
    signature = sign(canonical, secret=secret, timestamp=timestamp, scope=scope)
    headers["authorization"] = (
        f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return request.after_signing(headers)


def _serialized(operation: OperationModel, members: Mapping[str, Any], *, kind: str) -> Request:
    """Write members as rest-json does, whatever their types are."""
    shape = operation.input_shape
    traits = {
        name: member.serialization for name, member in (shape.members if shape else {}).items()
    }
    path, query, headers = operation.http["requestUri"], [], {}
    document: dict[str, Any] = {}
    body = b""
    payload = shape.serialization.get("payload") if shape else None
    for name, value in members.items():
        wire_name = traits.get(name, {}).get("name", name)
        match traits.get(name, {}).get("location"):
            case "uri":
                path = path.replace(f"{{{wire_name}}}", quote(_written(value), safe=""))
            case "querystring":
                values = value if isinstance(value, list) else [value]
                query += [f"{wire_name}={quote(_written(each), safe='')}" for each in values]
            case "header":
                headers[wire_name.lower()] = _one_line(_written(value))
            case _ if name == payload:
                body = value if isinstance(value, bytes) else _written(value).encode()
            case _:
                document[wire_name] = value
    if payload is None and operation.http["method"] not in {"GET", "DELETE"}:
        body = json.dumps(document, default=_json).encode()
    return Request(
        kind=kind,
        operation=operation.name,
        method=operation.http["method"],
        path=path.replace("{", "%7B").replace("}", "%7D"),
        query="&".join(query),
        headers=headers,
        body=body,
    )


def _written(value: Any) -> str:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case _:
            return json.dumps(value, default=_json)


def _one_line(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


def _json(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return value.timestamp()
    raise TypeError(type(value))
