from __future__ import annotations

import base64

import pytest
from botocore.httpchecksum import CrtCrc32cChecksum, CrtCrc64NvmeChecksum
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.protocol.checksums import ALGORITHMS, algorithm_of, announced_checksums, in_base64
from blemish.s3.protocol.errors import InvalidRequestError, UnsupportedError

#: of b"123456789": the check values of the catalogue of parametrised CRC algorithms, and FIPS 180
KNOWN = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_checksum_has_the_published_value(name: str) -> None:
    digest = ALGORITHMS[name]()

    digest.update(b"1234")
    digest.update(b"56789")

    assert digest.digest().hex() == KNOWN[name]


@given(parts=st.lists(st.binary()))
def test_a_checksum_is_the_one_that_botocore_sends(parts: list[bytes]) -> None:
    for name, theirs in (("CRC32C", CrtCrc32cChecksum()), ("CRC64NVME", CrtCrc64NvmeChecksum())):
        ours = ALGORITHMS[name]()
        for part in parts:
            ours.update(part)
            theirs.update(part)

        assert in_base64(ours) == theirs.b64digest()


def test_checksums_are_found_in_headers() -> None:
    crc = base64.b64encode(bytes(4)).decode()
    sha = base64.b64encode(bytes(32)).decode()

    found = announced_checksums(
        {
            "x-amz-checksum-crc32c": crc,
            "x-amz-checksum-sha256": sha,
            "x-amz-checksum-mode": "ENABLED",
            "x-amz-date": "now",
        }
    )

    assert found == {"CRC32C": crc, "SHA256": sha}


@pytest.mark.parametrize("text", ["", "AAAA", "AAAAAAA=", "ä", "AAAA AA="])
def test_a_checksum_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="x-amz-checksum-crc32 "):
        announced_checksums({"x-amz-checksum-crc32": text})


@pytest.mark.parametrize("header", ["x-amz-checksum-crc16", "x-amz-meta-crc32", "x-amz-checksum-"])
def test_an_unknown_algorithm_is_not_offered(header: str) -> None:
    with pytest.raises(UnsupportedError):
        algorithm_of(header)
