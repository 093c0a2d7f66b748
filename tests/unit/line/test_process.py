from __future__ import annotations

import os
import threading

from blemish.line.channel import Channel
from blemish.line.process import PUSHES_AT_ONCE, LineProcess
from blemish.line.pushed_images import PushedImages
from blemish.line.run import process_environment


class SlowImages(PushedImages):
    """A source whose verdicts come once they may."""

    def __init__(self) -> None:
        super().__init__("tablet")
        self.may_answer = threading.Event()

    def push(self, content: bytes, *, name: str | None) -> tuple[int, dict[str, object]]:
        del content, name
        self.may_answer.wait(10)
        return 200, {}


def test_images_of_pages_beyond_the_bound_are_refused_at_once() -> None:
    pipes = [os.pipe(), os.pipe()]
    server, channel = (
        Channel(reading=os.fdopen(read, "rb"), writing=os.fdopen(write, "wb"))
        for read, write in ((pipes[0][0], pipes[1][1]), (pipes[1][0], pipes[0][1]))
    )
    process, source = LineProcess(channel), SlowImages()
    process.add_pushed(source)

    statuses = []
    for number in range(PUSHES_AT_ONCE + 1):
        server.send("push", {"number": number, "source": "tablet", "name": None}, [b"image"])
        process.take_push(channel.receive())
    statuses.append(server.receive().document["status"])
    source.may_answer.set()
    statuses += [server.receive().document["status"] for _ in range(PUSHES_AT_ONCE)]
    server.send("push", {"number": 99, "source": "none", "name": None}, [b"image"])
    process.take_push(channel.receive())
    statuses.append(server.receive().document["status"])

    assert statuses == [503, *[200] * PUSHES_AT_ONCE, 404]
    server.close()
    channel.close()


def test_the_process_gets_the_secrets_of_lines_and_none_of_the_server() -> None:
    environment = {
        "LINE_MES": "token",
        "PATH": "/usr/bin",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "BLEMISH_DATABASE_URL": "postgresql://blemish:secret@rows",
        "BLEMISH_OIDC_CLIENT_SECRET": "secret",
        "BLEMISH_S3_PROFILE": "store",
    }

    assert process_environment(environment) == {"LINE_MES": "token", "PATH": "/usr/bin"}
