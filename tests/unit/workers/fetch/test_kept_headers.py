"""What is kept of an answer's headers."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.kept_headers import MAX_HEADERS, MAX_VALUE, kept_headers


def test_what_helps_is_kept_and_secrets_are_not() -> None:
    given = {"X-Request-Id": "r-1", "Set-Cookie": "s", "X-Auth-Token": "t", "Retry-After": "3"}
    assert dict(kept_headers(given)) == {"x-request-id": "r-1", "retry-after": "3"}


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=600)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=60))
def test_it_is_bounded_and_legible(headers: dict[str, str]) -> None:
    found = kept_headers(headers)
    assert all(text.encode() for pair in found for text in pair if text)
    assert len(found) <= MAX_HEADERS
    assert all(len(text) <= MAX_VALUE for pair in found for text in pair)
