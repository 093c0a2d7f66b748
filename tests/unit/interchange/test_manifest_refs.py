from __future__ import annotations

from collections import Counter

from blemish.interchange.manifest_refs import is_manifest_start, moved_refs


def test_references_move_and_all_else_stays_as_it_was() -> None:
    others = Counter[str]()
    lines = [
        b'{"source-ref":  "s3://old/a.png", "a": "of s3://old/x", "m-ref": "s3:\\/\\/old\\/m"}\n',
        b'{"source-ref": "s3://other/a.png", "k": "s3://older/a"}',
    ]

    moved = list(moved_refs(lines, old="old", new="new", others=others))

    assert moved == [
        b'{"source-ref":  "s3://new/a.png", "a": "of s3://old/x", "m-ref": "s3://new\\/m"}\n',
        b'{"source-ref": "s3://other/a.png", "k": "s3://older/a"}',
    ]
    assert others == {"other": 1, "older": 1}


def test_manifests_are_recognised_by_their_first_line() -> None:
    assert is_manifest_start(b'\xef\xbb\xbf{"a": 1, "source-ref": "s3://b/k"}\n')
    assert not is_manifest_start(b'{"images": []}\n{"source-ref": 1}')
    assert not is_manifest_start(b"\xff\xd8\xff")
