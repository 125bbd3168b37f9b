"""No message tells a secret, nor a part of one."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.outcome import Failure
from sluice_workers.fetch.untold import MOST, PART, Untold, of_values
from sluice_workers.wire import FailureReason

# Few letters, so that secrets overlap each other and the text beside them.
LETTERS = st.text("ab&'\"\\é /", max_size=24)
SECRETS = st.lists(st.text("ab&'\"\\é /", min_size=4, max_size=24), min_size=1, max_size=3)
WRITTEN = st.sampled_from([str, lambda text: quote(text, safe=""), json.dumps, repr])


@given(secrets=SECRETS, data=st.data())
def test_no_part_of_a_secret_survives_wherever_the_text_is_cut(
    secrets: list[str], data: st.DataObject
) -> None:
    pieces = st.tuples(st.sampled_from(secrets), WRITTEN, st.integers(0, 24), LETTERS)
    found = ""
    for secret, written, length, beside in data.draw(st.lists(pieces, max_size=5)):
        found += beside + written(secret)[:length]
    cut = data.draw(st.integers(0, len(found)))
    told = Failure(FailureReason.REFUSED, Untold(secrets).hidden(found[:cut])).message
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            assert form not in told
            parts = {form[at : at + PART] for at in range(len(form) - PART + 1)}
            assert not [part for part in parts if part in told]


@given(LETTERS)
def test_what_holds_no_secret_is_told_as_it_is(text: str) -> None:
    assert Untold().hidden(text) == text
    assert Untold(["xyz", "0123456789"]).hidden(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key 0123456789, also 0123456789", "key ***, also ***"),
        ("01234567890123456789", "***"),
        ("key ending in 456789 of 12345678", "key ending in 456789 of ***"),
        ("xy%26z or xy&z", "*** or ***"),
    ],
)
def test_how_it_is_told(text: str, told: str) -> None:
    assert Untold(["0123456789", "xy&z", ""]).hidden(text) == told


def test_of_values_the_scheme_alone_is_no_secret() -> None:
    untold = of_values(["Bearer abc-9", "2"])
    assert untold.hidden("Bearer: abc-9, 2; Bearer abc-9") == "Bearer: ***, 2; ***"


def test_it_looks_at_no_more_than_messages_hold() -> None:
    assert len(Untold(["0123456789"]).hidden("x" * (MOST + 1))) == MOST
