"""HTTP/2's frames on the wire, as far as they must be told apart before h2 reads them; pure.

h2 takes a connection for closed as soon as it reads GOAWAY, and then refuses the rest of the
answers that the server still owes (RFC 9113, 6.8). So that one frame is kept from it.
"""

from dataclasses import dataclass
from typing import Final

HEAD: Final = 9
"""Bytes before a frame's payload: its length, type, flags and stream."""
LONGEST: Final = 16_384
"""Bytes of a payload that a server may send unless it was told otherwise, and it is not."""
_GOAWAY: Final = 7
_LEAST_GOAWAY: Final = 8
_STREAM: Final = 0x7FFF_FFFF


class FrameError(ValueError):
    """Bytes that are no frames; the message says why."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The server takes no more streams on this connection."""

    last: int
    """The last stream that it answers; what came after it was not looked at."""
    code: int


class Frames:
    """Divides what comes."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> tuple[bytes, list[GoAway]]:
        """Return the whole frames for h2, and those that are not. Raises ``FrameError``."""
        data, place = self._begun + data, 0
        others: list[bytes] = []
        away: list[GoAway] = []
        while len(data) - place >= HEAD:
            size = int.from_bytes(data[place : place + 3], "big")
            if size > LONGEST:
                raise FrameError(f"a frame of {size} bytes, {LONGEST} are allowed")
            end = place + HEAD + size
            if end > len(data):
                break
            if data[place + 3] == _GOAWAY:
                away.append(_goaway(data[place + HEAD : end]))
            else:
                others.append(data[place:end])
            place = end
        self._begun = data[place:]
        return b"".join(others), away


def _goaway(payload: bytes) -> GoAway:
    if len(payload) < _LEAST_GOAWAY:
        raise FrameError(f"a GOAWAY of {len(payload)} bytes")
    last = int.from_bytes(payload[:4], "big") & _STREAM
    return GoAway(last, int.from_bytes(payload[4:8], "big"))
