import pytest

from blemish.wire.asgi import http_request


@pytest.mark.timeout(60)
def test_a_header_that_comes_again_and_again_is_one_with_all_values() -> None:
    many = 1_000_000  # joined one by one, these took minutes

    request = http_request(
        {
            "method": "GET",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(b"A", b" b "), (b"c", b"d"), *[(b"a", b"b")] * (many - 1)],
        }
    )

    assert request.headers == {"a": ",".join("b" * many), "c": "d"}
