from __future__ import annotations

from blemish.domain.access.principals import Principal, Signer


def test_a_secret_is_not_in_what_is_shown_of_a_signer() -> None:
    principal = Principal(access_key_id="BLEM1", name="line-4", arn="arn:aws:iam::1:user/line-4")

    assert "hidden" not in repr(Signer(principal=principal, secret="hidden"))
