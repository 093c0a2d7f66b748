from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from blemish.s3.protocol.errors import NoSuchKeyError
from tests.unit.s3.conftest import Bench

WRITERS, ROUNDS = 4, 60


def test_who_reads_while_others_write_and_delete_sees_whole_objects(bench: Bench) -> None:
    def work(writer: int) -> list[tuple[str, bytes]]:
        draw = random.Random(writer)
        seen = []
        for _ in range(ROUNDS):
            key = f"x/y/{draw.randrange(2)}"  # folders come and go with what is in them
            match draw.randrange(4):
                case 0:
                    bench.call("delete_object", key=key)
                case 1:
                    bench.put(
                        key, bytes([writer]) * draw.randrange(1, 99), content_type=f"{writer}"
                    )
                case 2:
                    bench.call("list_objects_v2", delimiter="/")
                case _:
                    try:
                        got = bench.call("get_object", key=key)
                    except NoSuchKeyError:
                        continue
                    seen.append((got["ContentType"], b"".join(got["Body"])))
        return seen

    with ThreadPoolExecutor(WRITERS) as pool:
        seen = [each for found in pool.map(work, range(WRITERS)) for each in found]

    assert seen
    assert [each for each in seen if set(each[1]) != {int(each[0])}] == []
    assert bench.remains() == set()
