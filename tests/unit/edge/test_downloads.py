from __future__ import annotations

import pytest

from blemish.edge.downloads import opened_object
from blemish.edge.errors import EdgeError


def test_a_download_without_a_key_says_which_variables_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://blemish.invalid")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "none://invalid")  # fails before it connects

    with pytest.raises(EdgeError) as raised, opened_object("s3://images/plates.zip"):
        pass

    assert "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY. Profiles" in str(raised.value)
