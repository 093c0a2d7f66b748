from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.storage.encryption.encryption import Encryption, open_encryption, text_key
from blemish.storage.encryption.keyring import Keyring
from blemish.storage.encryption.kms_address import KmsAddress
from blemish.storage.encryption.sealed_header import SealingKey, sealing_key_of
from blemish.storage.errors import KeyUnavailableError, SealBrokenError
from tests.unit.storage.sealing import ARNS, key, new_encryption, new_keyring

WHAT = {"what": "a test", "model": "plates/1"}
FRAME = 65_536
MIB = 1024 * 1024


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path)


@pytest.fixture
def encryption(keyring: Keyring) -> Encryption:
    return new_encryption(keyring)


@pytest.fixture(scope="module")
def kept_encryption(tmp_path_factory: pytest.TempPathFactory) -> Encryption:
    return new_encryption(new_keyring(tmp_path_factory.mktemp("kept")))


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_what_was_sealed_opens_as_it_was(encryption: Encryption, size: int) -> None:
    data = os.urandom(size)

    sealed = encryption.seal_bytes(data, context=WHAT)

    assert encryption.open_bytes(sealed, context=WHAT, name="it") == data
    assert size < 16 or data[:16] not in sealed


@given(chunks=st.lists(st.binary(max_size=100), max_size=20))
def test_it_does_not_matter_how_the_bytes_are_cut(
    kept_encryption: Encryption, chunks: list[bytes]
) -> None:
    sealed = b"".join(kept_encryption.seal(iter(chunks), context=WHAT))

    opened = kept_encryption.open_bytes(sealed, context=WHAT, name="it")

    assert opened == b"".join(chunks)


def test_an_error_in_what_is_to_be_sealed_passes_through(encryption: Encryption) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(encryption.seal(chunks(), context=WHAT))


def test_a_large_stream_is_sealed_and_opened_in_bounded_memory(
    encryption: Encryption, tmp_path: Path
) -> None:
    encryption.seal_bytes(b"the SDK is imported now", context=WHAT)
    path = tmp_path / "sealed"
    chunk = os.urandom(MIB)

    tracemalloc.start()
    with path.open("wb") as file:
        file.writelines(encryption.seal((chunk for _ in range(64)), context=WHAT))
    with path.open("rb") as file:
        opened = sum(map(len, encryption.open(file, context=WHAT, name="it")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert opened == 64 * MIB
    assert peak < 8 * MIB


@pytest.mark.parametrize(
    "other", [{"what": "a test", "model": "plates/2"}, {"what": "a test"}, WHAT | {"more": "said"}]
)
def test_one_sealed_thing_cannot_stand_for_another(
    encryption: Encryption, other: dict[str, str]
) -> None:
    sealed = encryption.seal_bytes(b"data", context=WHAT)

    with pytest.raises(SealBrokenError, match=r"it was sealed as model plates/1, what a test, not"):
        encryption.open_bytes(sealed, context=other, name="it")


@given(data=st.data())
def test_no_byte_can_be_changed_unnoticed(kept_encryption: Encryption, data: st.DataObject) -> None:
    sealed = bytearray(kept_encryption.seal_bytes(b"data" * 10, context=WHAT))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises((SealBrokenError, KeyUnavailableError)):
        kept_encryption.open_bytes(bytes(sealed), context=WHAT, name="it")


@given(data=st.data())
def test_no_end_can_be_cut_off_unnoticed(kept_encryption: Encryption, data: st.DataObject) -> None:
    sealed = kept_encryption.seal_bytes(b"data" * 10, context=WHAT)
    length = data.draw(st.integers(0, len(sealed) - 1))

    with pytest.raises((SealBrokenError, KeyUnavailableError)):
        kept_encryption.open_bytes(sealed[:length], context=WHAT, name="it")


def test_a_sealed_thing_names_its_key(encryption: Encryption) -> None:
    sealed = encryption.seal_bytes(b"data", context=WHAT)

    assert sealing_key_of(sealed) == SealingKey(provider="blemish", id=key(1).id)
    assert sealing_key_of(b'{"source-ref": "s3://a/b"}') is None
    assert sealing_key_of(b"") is None


@pytest.mark.parametrize(
    "name",
    [
        "alias/line-4",
        key(2).id,
        ARNS.kms("alias/line-4"),
        ARNS.kms(f"key/{key(2).id}"),
    ],
)
def test_a_key_is_named_as_aws_kms_names_one(
    keyring: Keyring, encryption: Encryption, name: str
) -> None:
    keyring.add(key(2, alias="line-4"))

    sealed = encryption.seal_bytes(b"data", context=WHAT, kms_key_id=name)

    assert sealing_key_of(sealed) == SealingKey(provider="blemish", id=key(2).id)
    assert encryption.open_bytes(sealed, context=WHAT, name="it") == b"data"


@pytest.mark.parametrize(
    "name",
    [
        "line-4",
        f"alias/{key(2).id}",
        key(3).id,
        f"key/{key(2).id}",
        "arn:aws:kms:eu-west-1:999999999999:alias/line-4",
        "arn:aws:kms:eu-central-1:123456789012:alias/line-4",
        ARNS.kms("line-4"),
        ARNS.kms("alias/line-5"),
        "arn:",
    ],
)
def test_what_names_no_key_of_ours_is_unknown(
    keyring: Keyring, encryption: Encryption, name: str
) -> None:
    keyring.add(key(2, alias="line-4"))

    with pytest.raises(KeyUnavailableError, match=f"There is no key {name}"):
        encryption.seal(b"data", context=WHAT, kms_key_id=name)


def test_another_process_opens_what_this_one_sealed(encryption: Encryption) -> None:
    connection = json.loads(json.dumps(encryption.connection))
    sealed = encryption.seal_bytes(b"data", context=WHAT)

    opened = open_encryption(connection).open_bytes(sealed, context=WHAT, name="it")

    assert opened == b"data"
    assert open_encryption(connection).connection == connection


def test_a_disabled_key_opens_nothing(keyring: Keyring, encryption: Encryption) -> None:
    keyring.add(key(2, alias="line-4"))
    sealed = encryption.seal_bytes(b"data", context=WHAT, kms_key_id="alias/line-4")

    keyring.set_enabled(key(2, alias="line-4"), enabled=False)

    with pytest.raises(KeyUnavailableError, match=r"The key alias/line-4 .* is disabled"):
        encryption.open_bytes(sealed, context=WHAT, name="it")


def test_another_key_with_the_same_id_opens_nothing(encryption: Encryption, tmp_path: Path) -> None:
    sealed = encryption.seal_bytes(b"data", context=WHAT)
    path = tmp_path / "keyring" / f"{key(1).id}.json"
    document = json.loads(path.read_text())

    path.write_text(json.dumps(document | {"secret": base64.b64encode(bytes(32)).decode()}))

    with pytest.raises(SealBrokenError, match="its key does not open it"):
        encryption.open_bytes(sealed, context=WHAT, name="it")


def test_a_key_of_aws_kms_is_not_asked_for_unless_a_setting_says_so(
    encryption: Encryption,
) -> None:
    arn = "arn:aws:kms:eu-central-1:999999999999:key/1"

    with pytest.raises(KeyUnavailableError, match="where BLEMISH_KMS_REGION is set"):
        encryption.seal(b"data", context=WHAT, kms_key_id=arn)


def test_a_key_of_another_region_is_not_asked_for(keyring: Keyring) -> None:
    encryption = new_encryption(keyring, kms=KmsAddress(region="eu-west-3"))
    arn = "arn:aws:kms:eu-central-1:999999999999:key/1"

    with pytest.raises(KeyUnavailableError, match="not of the region eu-west-3"):
        encryption.seal(b"data", context=WHAT, kms_key_id=arn)


def test_what_a_lost_key_sealed_opens_once_the_key_is_back(
    encryption: Encryption, tmp_path: Path
) -> None:
    sealed = encryption.seal_bytes(b"data", context=WHAT)
    file = tmp_path / "keyring" / f"{key(1).id}.json"
    held = file.read_bytes()

    file.unlink()

    with pytest.raises(KeyUnavailableError, match=key(1).id):
        encryption.open_bytes(sealed, context=WHAT, name="it")
    file.write_bytes(held)
    assert encryption.open_bytes(sealed, context=WHAT, name="it") == b"data"


def test_what_is_not_sealed_is_not_opened(encryption: Encryption) -> None:
    with pytest.raises(SealBrokenError, match="the manifest is not sealed"):
        encryption.open(BytesIO(b"{}"), context=WHAT, name="the manifest")


def test_several_threads_may_seal_and_open_at_once(encryption: Encryption) -> None:
    def there_and_back(number: int) -> bool:
        context = WHAT | {"number": str(number)}
        sealed = encryption.seal_bytes(b"%d" % number, context=context)
        return encryption.open_bytes(sealed, context=context, name="it") == b"%d" % number

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(there_and_back, range(80)))

    assert all(done)


@pytest.mark.parametrize("text", ["", "a secret", "ä\u2028"])
def test_a_short_text_opens_as_it_was(encryption: Encryption, text: str) -> None:
    sealed = encryption.seal_text(text, context=WHAT)

    assert encryption.open_text(sealed, context=WHAT, name="it") == text
    assert text_key(sealed, name="it") == key(1).id


def test_the_same_text_is_sealed_otherwise_each_time(encryption: Encryption) -> None:
    sealed = {encryption.seal_text("a secret", context=WHAT) for _ in range(10)}

    assert len(sealed) == 10


def test_a_short_text_cannot_stand_for_another(encryption: Encryption) -> None:
    sealed = encryption.seal_text("a secret", context=WHAT)

    with pytest.raises(SealBrokenError, match="the secret of BLEM cannot be opened"):
        encryption.open_text(sealed, context={"what": "other"}, name="the secret of BLEM")


@pytest.mark.parametrize("sealed", ["a secret", "2:x:y", f"1:{key(1).id}", "1:"])
def test_a_text_in_another_form_is_not_opened(encryption: Encryption, sealed: str) -> None:
    with pytest.raises((SealBrokenError, KeyUnavailableError)):
        encryption.open_text(sealed, context=WHAT, name="it")


@pytest.mark.parametrize("damage", ["", "AAAA", "A" * 80, "no base64!"])
def test_a_damaged_text_is_not_opened(encryption: Encryption, damage: str) -> None:
    with pytest.raises(SealBrokenError, match="it cannot be opened"):
        encryption.open_text(f"1:{key(1).id}:{damage}", context=WHAT, name="it")


def test_texts_are_sealed_without_importing_the_sdk(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.unit.storage.sealing import new_encryption, new_keyring
encryption = new_encryption(new_keyring(Path(sys.argv[1])))
sealed = encryption.seal_text("a secret", context={})
encryption.open_text(sealed, context={}, name="it")
print([name for name in ("aws_encryption_sdk", "boto3") if name in sys.modules])
"""

    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"
