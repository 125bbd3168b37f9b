import pytest
from multidict import CIMultiDict
from yarl import URL

from sluice_workers.fetch.http2.connection import request_fields

URL_ = URL("https://api.example.com/users/a%2Fb?x=%20", encoded=True)


def test_what_is_of_http1_alone_is_left_out() -> None:
    headers = CIMultiDict({"Accept": "application/json", "Connection": "close", "TE": "gzip"})
    assert dict(request_fields("GET", URL_, headers, None)) == {
        ":method": "GET",
        ":scheme": "https",
        ":authority": "api.example.com",
        ":path": "/users/a%2Fb?x=%20",
        "user-agent": dict(request_fields("GET", URL_, {}, None))["user-agent"],
        "accept": "application/json",
    }


@pytest.mark.parametrize(
    ("url", "headers", "authority"),
    [
        ("https://api:8443/", {}, "api:8443"),
        ("https://[::1]:8443/", {}, "[::1]:8443"),
        ("https://10.0.0.1/", {"Host": "api.example.com"}, "api.example.com"),
    ],
)
def test_the_host_is_the_authority(url: str, headers: dict[str, str], authority: str) -> None:
    fields = request_fields("GET", URL(url), headers, None)
    assert dict(fields)[":authority"] == authority
    assert "host" not in dict(fields)


def test_a_body_has_its_length_and_own_headers_stay() -> None:
    fields = request_fields("POST", URL_, {"User-Agent": "mine"}, b"abc")
    assert [value for name, value in fields if name == "user-agent"] == ["mine"]
    assert dict(fields)["content-length"] == "3"
