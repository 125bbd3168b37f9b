"""What a token endpoint's answer says."""

import orjson
import pytest

from sluice_workers.fetch.http.credentials import AuthenticationError, Grant
from sluice_workers.fetch.http.oauth2 import LONGEST, UNTOLD, token_of
from sluice_workers.fetch.untold import Untold


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"access_token": "t", "token_type": "Bearer", "expires_in": 60}, ("t", 60)),
        ({"access_token": "t", "token_type": "bearer"}, ("t", UNTOLD)),
        ({"access_token": "t", "expires_in": "soon"}, ("t", UNTOLD)),
        ({"access_token": "t", "expires_in": True}, ("t", UNTOLD)),
        ({"access_token": "t", "expires_in": 1e300}, ("t", LONGEST)),
    ],
)
def test_a_token_and_how_long_it_is_good_for(
    answer: dict[str, object], expected: tuple[str, float]
) -> None:
    assert token_of(200, orjson.dumps(answer)) == expected


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b'{"error": "invalid_client"}', "answered 401: invalid_client"),
        (400, b'{"error": "<script>"}', "answered 400$"),
        (500, b"<html>", "answered 500$"),
        (200, b"<html>", "holds no access_token"),
        (200, b'{"access_token": ""}', "holds no access_token"),
        (200, b'{"access_token": "a\\r\\nb"}', "holds no access_token"),
        (200, b'{"access_token": 7}', "holds no access_token"),
        (200, b'{"access_token": "t", "token_type": "mac"}', "must be Bearer"),
        (302, b"", "answered 302"),
    ],
)
def test_what_is_no_token_is_told(status: int, body: bytes, message: str) -> None:
    with pytest.raises(AuthenticationError, match=message):
        token_of(status, body)


def test_no_text_shows_a_credential() -> None:
    grant = Grant({"authorization": "Bearer s3cret&"}, ("key", "s3cret&"), Untold(("s3cret&",)))
    assert "s3cret" not in repr(grant)
    assert grant.untold.hidden("s3cret& or s3cret%26") == "*** or ***"
