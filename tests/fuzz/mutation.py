"""Inputs that are nearly right: pieces of good ones, cut, repeated, swapped and damaged."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SECONDS = float(os.environ.get("SLUICE_FUZZ_SECONDS", "4"))
"""How long each target is fuzzed."""
TOKENS = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u0000", b"\\ud800", b"null", b"true", b"-"),
    *(b"1e999", b"9" * 40, b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\0", b"\r\n", b"\n", b"%", b"<>"),
    *(b"[" * 300, b'{"a":' * 300, b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"; rel=next", b"\r\n\r\n"),
)


@dataclass
class Inputs:
    """Endless inputs until the time is over; the seed tells how to get them again."""

    corpus: Sequence[bytes]
    seconds: float = SECONDS
    seed: int = field(default_factory=lambda: int(os.environ.get("SLUICE_FUZZ_SEED", time.time())))
    count: int = 0

    def __iter__(self) -> Iterator[tuple[random.Random, bytes]]:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            chance = random.Random(f"{self.seed}/{self.count}")
            self.count += 1
            yield chance, mutated(chance, self.corpus)

    def __str__(self) -> str:
        return f"SLUICE_FUZZ_SEED={self.seed}, input {self.count}"


def mutated(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One input: usually few changes to a good one, sometimes many."""
    found = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8, 30))):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 2, 8, 64)))
        match chance.randrange(6):
            case 0:
                found[at:end] = b""
            case 1:
                found[at:at] = chance.choice(TOKENS)
            case 2:
                found[at:end] = chance.randbytes(end - at)
            case 3:
                found[at:at] = found[at:end] * chance.choice((1, 2, 50))
            case 4:
                other = chance.choice(corpus)
                found[at:] = other[chance.randrange(len(other) + 1) :]
            case 5:
                del found[at:]
    return bytes(found[: 1 << 17])


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    """The data in a few chunks."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(5)))
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]
