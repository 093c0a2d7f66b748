from __future__ import annotations

import pytest

from blemish.s3.protocol.addressing import path_with_bucket


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/", "localhost:8000", "/"),
        ("/b", "localhost:8000", "/b"),
        ("/b/", "localhost:8000", "/b"),
        ("/b/k", "localhost", "/b/k"),
        ("/b//", "localhost", "/b//"),
        ("/b/k/", "localhost", "/b/k/"),
        ("/", "b.localhost:8000", "/b"),
        ("/k", "b.localhost:8000", "/b/k"),
        ("/k", "B.LocalHost", "/b/k"),
        ("//", "b.localhost", "/b//"),
        ("/k", "b.c.localhost", "/b.c/k"),
        ("/k", "b.s3.localhost", "/b/k"),
        ("/b/k", "s3.localhost", "/b/k"),
        ("/b/k", "127.0.0.1:8000", "/b/k"),
        ("/b/k", "[::1]:8000", "/b/k"),
        ("/b/k", "", "/b/k"),
    ],
)
def test_the_bucket_comes_first(path: str, host: str, expected: str) -> None:
    names = {"localhost", "s3.localhost"}

    assert path_with_bucket(path, host=host, base_host_names=names) == expected
