"""Random calls to our S3 and to moto's: the answers are the same, but for known differences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.beside_moto import client_of, unlike
from tests.acceptance.moto import moto_client, moto_server
from tests.acceptance.served import ServedDirectory

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]

SEQUENCES = 20
"""Of the 200 that `python -m benchmarks.s3 --long` plays."""


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A client of ours and one of moto's, each over an empty server."""
    folder: Path = tmp_path_factory.mktemp("beside-moto")
    with moto_server(folder / "moto.log") as url:
        served = ServedDirectory(folder / "data", environment={})
        served.start()
        yield client_of(served), moto_client(url)
        served.end()


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_random_calls_are_answered_as_by_moto(clients: tuple[Any, Any], seed: int) -> None:
    ours, moto = clients

    assert unlike(seed, ours=ours, moto=moto) == []
