from __future__ import annotations

import pytest

from blemish.domain.manifest import MAX_KEY_BYTES
from blemish.storage.objects.names import is_bucket_name, refusal


@pytest.mark.parametrize("name", ["abc", "a.b", "my-bucket", "0ab", "1.2.3", "a--b", "x" * 63])
def test_these_are_names_of_buckets(name: str) -> None:
    assert is_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 64,
        "Abc",
        "a_b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "..",
        "...",
        ".staging",
        "192.168.5.4",
        "a/b",
        "äbc",
        "abc\n",
        "a\0b",
        "a\ud800b",
        "٣٣٣",
    ],
)
def test_these_are_not(name: str) -> None:
    assert not is_bucket_name(name)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/a", "begins"),
        ("a/", "ends"),
        ("a//b", "'//'"),
        ("../b", "'..'"),
        ("a/./b", "'.'"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\ud800", "UTF-8"),
        ("ä" * 128, "255 bytes"),
        ("x/" * (MAX_KEY_BYTES // 2) + "x", "1025 bytes"),
        ("a#12", "'#'"),
        ("x/A:", "':'"),
    ],
)
def test_a_key_that_no_file_can_have_is_refused_with_the_reason(key: str, reason: str) -> None:
    assert reason in (refusal(key) or "")


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "a b",
        " a ",
        "a%20b",
        "a%",
        "a#b",
        "#12.png",
        "a#12/b",
        "A:/b",
        "a:1",
        "::",
        "~a",
        "a.",
        "..a",
        "a..",
        "...",
        "a?b*c",
        "a\\b",
        'a"b',
        "[a]{b}|^`<>",
        "ä",
        "a\u0308",
        "照片/🙂.png",
        "a\u2028b",
        "x" * 255,
    ],
)
def test_any_other_key_is_allowed(key: str) -> None:
    assert refusal(key) is None
