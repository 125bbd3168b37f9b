import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.http2.frames import LONGEST, FrameError, Frames, GoAway


def frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


def goaway(last: int, code: int) -> bytes:
    return frame(7, last.to_bytes(4, "big") + code.to_bytes(4, "big") + b"why")


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0, 1, 3, 4, 6, 8, 200]), st.binary(max_size=40)),
        st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1)).map(
            lambda pair: GoAway(*pair)
        ),
    ),
    max_size=8,
)


@given(FRAMES, st.data())
def test_frames_are_divided_wherever_the_wire_cuts_them(
    sent: list[GoAway | tuple[int, bytes]], data: st.DataObject
) -> None:
    parts = [
        goaway(each.last, each.code) if isinstance(each, GoAway) else frame(*each) for each in sent
    ]
    wire, frames = b"".join(parts), Frames()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    others, away = b"", []
    for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        some, found = frames.feed(wire[begin:end])
        others += some
        away += found
    assert others == b"".join(frame(*each) for each in sent if not isinstance(each, GoAway))
    assert away == [each for each in sent if isinstance(each, GoAway)]


def test_a_frame_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(FrameError, match="16384 are allowed"):
        Frames().feed((LONGEST + 1).to_bytes(3, "big") + bytes(6))


def test_a_goaway_that_is_too_short() -> None:
    with pytest.raises(FrameError, match="GOAWAY of 4 bytes"):
        Frames().feed(frame(7, bytes(4)))
