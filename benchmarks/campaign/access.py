"""Requests by chance beside an independent model of what policies allow.

    python -m benchmarks.campaign.access [--requests 1000000] [--keys 200] [--seed 1]

Every request is sent as nobody, as the holder of a policy by chance, or as somebody who may do
everything, to a whole server in this process. No answer may be a 5xx, and none may show that a
request passed which the model denies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import structlog

from benchmarks.campaign.access_requests import Drawn, drawn_request
from benchmarks.campaign.policy_model import Person, drawn_policy
from benchmarks.campaign.signing import signed_headers
from blemish.cli.access_keys import key_desk
from blemish.server.app import Server, running_server
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from tests.unit.console.in_process import lifespan

HOST = "campaign.test"
AT_ONCE = 8
REFUSED = frozenset({401, 403})
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}],
}
_PAIR = re.compile(r"aws_access_key_id = (\S+)\naws_secret_access_key = (\S+)")
_DENIED_KEY = re.compile(r"<Key>([^<]*)</Key><Code>AccessDenied")


@dataclass(frozen=True, kw_only=True)
class Key:
    """An access key with the person whom the model knows; `cookie` is a session of the console."""

    person: Person
    id: str
    secret: str
    cookie: str = ""


@dataclass
class Findings:
    """What the answers were, and what was wrong with some of them."""

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    denied: int = 0
    allowed: int = 0
    nobody: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a request; the body is not read further than a MiB."""

    status: int
    headers: dict[str, str]
    body: bytes


async def answer_of(
    server: Server, request: Drawn, headers: dict[str, str], *, address: str = "127.0.0.1"
) -> Answer:
    """Send a request to the application, as a server does that has received it."""
    sent = {"host": HOST, "content-length": str(len(request.body))} | headers
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), text.encode("latin-1")) for name, text in sent.items()],
        "client": (address, 4_000),
        "server": (HOST, 8_000),
        "state": {},
    }
    messages = [{"type": "http.request", "body": request.body, "more_body": False}]
    answered: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def send(message: Any) -> None:
        answered.append(message)

    await server.application(scope, receive, send)
    start = answered[0]
    return Answer(
        status=start["status"],
        headers={name.decode().lower(): text.decode() for name, text in start["headers"]},
        body=b"".join(message.get("body", b"") for message in answered[1:])[: 2**20],
    )


class AccessCampaign:
    """Sends requests, and compares their answers with the model."""

    def __init__(self, server: Server, keys: list[Key], *, seed: int) -> None:
        self._server = server
        self._keys = keys
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self.findings = Findings()

    async def run(self, requests: int) -> None:
        """Send so many requests, several at once."""
        left = iter(range(requests))

        async def send_all() -> None:
            for _ in left:
                await self._send_one()

        await asyncio.gather(*(send_all() for _ in range(AT_ONCE)))

    async def sign_in(self) -> None:
        """Give everybody a session of the console."""
        self._keys = [replace(key, cookie=await self._cookie(key)) for key in self._keys]

    async def _cookie(self, key: Key) -> str:
        form = urlencode({"key": key.id, "secret": key.secret}).encode()
        request = Drawn(
            surface="console",
            operation="sign-in",
            method="POST",
            path="/console/sign-in",
            body=form,
        )
        headers = {"origin": f"http://{HOST}", "content-type": "application/x-www-form-urlencoded"}
        answer = await answer_of(self._server, request, headers)
        assert answer.status == 303, (answer.status, answer.body)
        return answer.headers["set-cookie"].partition(";")[0]

    async def _send_one(self) -> None:
        request = drawn_request(self._random)
        key = self._random.choice(self._keys)
        attack = self._random.choice(ATTACKS) if self._random.random() < 0.2 else None
        headers = self._headers(request, key, attack)
        try:
            # wrong secrets lock out their address: attackers have other ones
            address = f"198.51.{self._random.randrange(100)}.{self._random.randrange(256)}"
            address = address if attack else key.person.source_ip
            answer = await answer_of(self._server, request, headers, address=address)
        except Exception as error:  # noqa: BLE001 - the edge: it is a finding
            self._note(request, key, f"the application raised {error!r}")
            return
        self.findings.answers[request.surface, request.operation, answer.status] += 1
        if answer.status >= 500:
            self._note(request, key, f"was answered {answer.status}: {answer.body[:300]!r}")
        elif attack is not None:
            self.findings.nobody += 1
            if answer.status not in {400, 429, *REFUSED}:
                self._note(request, key, f"passed as nobody ({attack}): {answer.status}")
        else:
            self._compare(request, key, answer)

    def _compare(self, request: Drawn, key: Key, answer: Answer) -> None:
        if request.needs_of_keys:
            self._compare_keys(request, key, answer)
            return
        allowed = all(key.person.may(*need) for need in request.needs)
        if not allowed:
            self.findings.denied += 1
            if answer.status not in REFUSED:
                self._note(request, key, f"passed: {answer.status} {answer.body[:200]!r}")
            return
        self.findings.allowed += 1
        if answer.status in REFUSED and not request.conceals:
            self._note(request, key, f"was denied: {answer.body[:300]!r}")

    def _compare_keys(self, request: Drawn, key: Key, answer: Answer) -> None:
        denied = {name for name, need in request.needs_of_keys.items() if not key.person.may(*need)}
        refused = set(_DENIED_KEY.findall(answer.body.decode()))
        self.findings.denied += len(denied)
        if answer.status == 200 and refused != denied:
            self._note(request, key, f"denied {sorted(refused)}, not {sorted(denied)}")
        may_nothing = len(denied) == len(request.needs_of_keys)
        if answer.status not in {200, *REFUSED} and may_nothing:
            self._note(request, key, f"tells {answer.status} to somebody who may delete nothing")

    def _headers(self, request: Drawn, key: Key, attack: str | None) -> dict[str, str]:
        if request.surface == "console":
            cookie = {None: key.cookie, "unsigned": ""}.get(attack, f"{key.cookie[:-8]}AAAAAAAA")
            return {"cookie": cookie} if cookie else {}
        if attack == "unsigned":
            return dict(request.headers)
        service = "s3" if request.surface == "s3" else "lookoutvision"
        headers = signed_headers(
            request.method,
            request.path,
            request.query,
            {**request.headers, "host": HOST},
            request.body,
            key_id="BLEMAAAAAAAAAAAAAAAA" if attack == "unknown key" else key.id,
            secret="wrong" if attack == "wrong secret" else key.secret,
            service=service,
            now=datetime.now(UTC),
        )
        if attack == "changed afterwards":
            headers["x-amz-date"] = headers["x-amz-date"][:-2] + "1Z"
            headers["x-amz-content-sha256"] = "0" * 64
        return headers

    def _note(self, request: Drawn, key: Key, problem: str) -> None:
        if len(self.findings.problems) < 100:
            policy = json.dumps(key.person.policy["Statement"])
            self.findings.problems.append(
                f"{request.method} {request.path}?{request.query} ({request.operation}) by "
                f"{key.person.name} {dict(key.person.tags)} {problem}\n    {policy}"
            )


ATTACKS = ("unsigned", "wrong secret", "unknown key", "changed afterwards")


def made_keys(settings: Settings, *, count: int, generator: random.Random) -> Iterator[Key]:
    """Yield keys of policies by chance, and one that may do everything."""
    folder = settings.data_dir
    with key_desk(settings) as desk:
        for number in range(count + 1):
            person = Person(
                name=f"user-{number}",
                tags={"line": generator.choice("45")} if generator.random() < 0.5 else {},
                policy=drawn_policy(generator) if number else EVERYTHING,
            )
            document = folder / "policy.json"
            document.write_text(json.dumps(person.policy))
            tags = [f"{name}={text}" for name, text in person.tags.items()]
            section = desk.create(person.name, policy=str(document), tags=tags)
            pair = _PAIR.search(section)
            assert pair is not None
            yield Key(person=person, id=pair[1], secret=pair[2])


@contextmanager
def prepared(folder: Path, *, keys: int, seed: int) -> Iterator[tuple[Server, list[Key]]]:
    """Run a server over a new folder with some buckets, objects and keys."""
    directory = DataDirectory(folder)
    directory.create()
    for bucket in ("bucket-1", "bucket-2"):
        for name in ("a/1.png", "user-1/x", "m.manifest"):
            path = directory.buckets / bucket / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"content")
    settings = Settings(data_dir=folder)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with running_server(settings, directory) as server:
        generator = random.Random(seed)  # noqa: S311 - no secret
        yield server, list(made_keys(settings, count=keys, generator=generator))


async def play(server: Server, keys: list[Key], *, requests: int, seed: int) -> Findings:
    """Send requests; return what came of them."""
    async with lifespan(server):
        campaign = AccessCampaign(server, keys, seed=seed)
        await campaign.sign_in()
        await campaign.run(requests)
        return campaign.findings


def main() -> int:
    """Run and print; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with (
        TemporaryDirectory(prefix="blemish-access-") as folder,
        prepared(Path(folder, "data"), keys=arguments.keys, seed=arguments.seed) as (server, keys),
    ):
        findings = asyncio.run(play(server, keys, requests=arguments.requests, seed=arguments.seed))
    for (surface, operation, status), count in sorted(findings.answers.items()):
        print(f"{surface:8} {operation:26} {status} {count:8}")
    for problem in findings.problems:
        print(problem)
    print(
        f"{sum(findings.answers.values()):,} requests in {time.monotonic() - began:,.0f} s: "
        f"{findings.denied:,} denied, {findings.allowed:,} allowed, {findings.nobody:,} as nobody; "
        f"{len(findings.problems)} problems"
    )
    return int(bool(findings.problems))


if __name__ == "__main__":
    sys.exit(main())
