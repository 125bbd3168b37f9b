"""Content codings, undone within bounds."""

import contextlib
import gzip
import random
from collections.abc import Callable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.http.body import (
    CODINGS,
    MAX_MEMBERS,
    PIECE,
    WINDOW_LOG,
    MalformedAnswerError,
    decoder,
)

ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
codings = st.sampled_from(CODINGS)
data = st.binary(max_size=2000) | st.builds(
    lambda part, times: part * times, st.binary(min_size=1, max_size=20), st.integers(0, 20_000)
)


def decoded(coding: str, *chunks: bytes) -> bytes:
    found = decoder(coding)
    assert found is not None
    pieces = [piece for chunk in chunks for piece in found.feed(chunk)]
    found.end()
    return b"".join(pieces)


@given(codings, data, st.lists(st.integers(1, 500), max_size=6))
def test_what_was_encoded_comes_back_however_it_is_cut(
    coding: str, text: bytes, cuts: list[int]
) -> None:
    chunks, rest = [], ENCODE[coding](text)
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    assert decoded(coding, *chunks, rest) == text


@given(codings, st.binary(max_size=300))
def test_no_bytes_break_a_decoder(coding: str, text: bytes) -> None:
    with contextlib.suppress(MalformedAnswerError):
        decoded(coding, text)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_comes_out_piece_by_piece(coding: str) -> None:
    bomb = ENCODE[coding](b"\0" * (32 << 20))
    assert len(bomb) < PIECE
    found = decoder(coding)
    assert found is not None
    pieces = found.feed(bomb)
    assert all(len(next(pieces)) <= 2 * PIECE for _ in range(20))


@pytest.mark.parametrize("coding", CODINGS)
def test_an_end_in_the_middle_is_told(coding: str) -> None:
    text = random.Random(1).randbytes(5000)
    for end in (1, 10, 2000, -1):
        with pytest.raises(MalformedAnswerError, match=f"{coding} ends in the middle"):
            decoded(coding, ENCODE[coding](text)[:end])


@pytest.mark.parametrize("coding", CODINGS)
def test_what_comes_after_the_end_is_told(coding: str) -> None:
    with pytest.raises(MalformedAnswerError, match=f"is no {coding}"):
        decoded(coding, ENCODE[coding](b"x"), b"<html>")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_streams_may_follow_each_other_but_not_for_ever(coding: str) -> None:
    one = ENCODE[coding](b"ab")
    assert decoded(coding, one * 3, one) == b"ab" * 4
    with pytest.raises(MalformedAnswerError, match="more than 64 streams"):
        decoded(coding, one * (MAX_MEMBERS + 1))


def test_a_window_that_would_take_all_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: WINDOW_LOG + 4}
    compressor = zstd.ZstdCompressor(options=options)
    with pytest.raises(MalformedAnswerError, match="is no zstd"):
        decoded("zstd", compressor.compress(b"x" * 100) + compressor.flush())


@pytest.mark.parametrize("coding", CODINGS)
def test_nothing_is_nothing(coding: str) -> None:
    assert decoded(coding) == b""


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_what_is_not_encoded_needs_no_decoder(encoding: str | None) -> None:
    assert decoder(encoding) is None


def test_names_are_read_as_they_come() -> None:
    assert decoded("X-GZIP", gzip.compress(b"x")) == b"x"


@pytest.mark.parametrize("encoding", ["deflate", "gzip, br", "compress", "aes128gcm"])
def test_an_unknown_coding_is_told(encoding: str) -> None:
    with pytest.raises(MalformedAnswerError, match=r"must be one of gzip, br, zstd, found"):
        decoder(encoding)


def test_a_damaged_checksum_is_told() -> None:
    text = bytearray(gzip.compress(b"x" * 100))
    text[-8] ^= 1
    with pytest.raises(MalformedAnswerError, match="is no gzip"):
        decoded("gzip", bytes(text))
