"""What an API's headers say of its quota; pure.

Read are ``RateLimit`` with ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers: a list of
policies, each ``"name";r=0;t=30``; its earlier versions say ``limit=9, remaining=0, reset=30``),
``RateLimit-Remaining`` with ``RateLimit-Reset``, and the ``X-RateLimit-…`` that most APIs send,
with a reset that is seconds from now, an epoch in seconds or milliseconds, or a date.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

EPOCH: Final = 1_000_000_000
"""A reset from here on is no number of seconds to wait but a moment."""
MILLISECONDS: Final = 100_000_000_000
LONGEST: Final = 24 * 3600.0
"""Seconds that a job rests at the most for one header."""
_FAMILIES: Final = ("ratelimit", "x-ratelimit", "x-rate-limit")
_RESETS: Final = ("reset", "reset-after")
_TELLING: Final = ("ratelimit", *(f"{family}-remaining" for family in _FAMILIES))
"""The headers without which nothing is said of a quota."""
_MEMBER: Final = re.compile(r'(?:"[^"]*"|[^,"])+')
_PARAMETER: Final = re.compile(r"[;,]\s*([a-z]+)\s*=\s*(\d+)")
_NAME: Final = re.compile(r'\s*"?([^";,]*)')
_NUMBER: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*$")


def exhausted_for(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the quota is there again; None while some is left or nothing is said of it.

    ``headers`` looks names up whatever their case; ``now`` is Unix time in seconds. A moment is
    compared with the API's own clock, if the answer has a date.
    """
    # Most answers say nothing: a date would be parsed for each of them in vain.
    if not any(name in headers for name in _TELLING):
        return None
    waits = [*_policies(headers), *_fields(headers, _clock(headers, now))]
    return max((min(max(0.0, wait), LONGEST) for wait in waits), default=None)


def _policies(headers: Mapping[str, str]) -> Iterator[float]:
    """The seconds that each exhausted policy of ``RateLimit`` asks for."""
    text = headers.get("ratelimit", "")
    if "remaining" in text:
        found = dict(_PARAMETER.findall(f",{text}"))
        if "reset" in found and found.get("remaining") == "0":
            yield float(found["reset"])
        return
    windows = dict(_list(headers.get("ratelimit-policy", "")))
    for name, said in _list(text):
        wait = said.get("t", windows.get(name, {}).get("w"))
        if wait is not None and said.get("r") == "0":
            yield float(wait)


def _list(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The members of a structured list: name and numeric parameters of each."""
    for member in _MEMBER.findall(text):
        name = _NAME.match(member)
        yield (name[1].strip() if name else ""), dict(_PARAMETER.findall(member))


def _fields(headers: Mapping[str, str], now: float) -> Iterator[float]:
    """The seconds that headers of their own for remaining and reset ask for."""
    for family in _FAMILIES:
        remaining = _NUMBER.match(headers.get(f"{family}-remaining", ""))
        if remaining is None or float(remaining[1]) >= 1:
            continue
        for name in _RESETS:
            wait = _seconds(headers.get(f"{family}-{name}", ""), now)
            if wait is not None:
                yield wait


def _seconds(text: str, now: float) -> float | None:
    """Seconds from now until a reset; None for what cannot be read."""
    number = _NUMBER.match(text)
    if number is None:
        moment = _moment(text)
        return moment - now if moment is not None else None
    reset = float(number[1])
    if reset >= MILLISECONDS:
        reset /= 1000
    return reset - now if reset >= EPOCH else reset


def _clock(headers: Mapping[str, str], now: float) -> float:
    moment = _moment(headers.get("date", ""))
    return now if moment is None else moment


def _moment(text: str) -> float | None:
    """Unix time of an HTTP date or of one of RFC 3339."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text.strip())
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
