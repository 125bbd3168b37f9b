"""How the sink's database is reached: the URI of the Secret, read anew for each connection.

A password that was rotated is used by the next connection. Several hosts with
``target_session_attrs=read-write`` lead to the primary, whichever it is. ``ca.crt`` beside the URI
turns verification on.
"""

import socket
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from struct import Struct
from typing import Any, Final
from urllib.parse import quote, urlsplit

import asyncpg

from sluice_api.errors import DependencyError
from sluice_migrations.certificates import AUTHORITY
from sluice_workers.settings import read_text
from sluice_workers.write.refusal import ERRORS, failure

Connection = asyncpg.Connection  # subscripted only in annotations: it is no generic at run time

CONNECT_TIMEOUT: Final = 10.0
"""Seconds that the database has to accept a connection."""
_YEAR_2000: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LOCAL_YEAR_2000: Final = _YEAR_2000.replace(tzinfo=None)
_DAYS: Final = Struct("!i")
_TIME: Final = Struct("!q")


def sink_uri(folder: Path, key: str) -> str:
    """Return the sink's URI. Raises ``ConfigurationError`` when the Secret lacks it."""
    return verified(read_text(folder / key).strip(), folder / AUTHORITY)


def verified(uri: str, authority: Path) -> str:
    """Add to a URI that the server must prove itself, when there is an authority to ask."""
    if not authority.is_file():
        return uri
    query = urlsplit(uri).query
    added = [] if "sslmode=" in query else ["sslmode=verify-full"]
    if "sslrootcert=" not in query:
        added.append(f"sslrootcert={quote(str(authority))}")
    return uri + ("&" if query else "?") + "&".join(added) if added else uri


_KEPT_ALIVE: Final = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 25_000,
}
"""A host that is gone without a word is noticed within 25 seconds, not in a quarter of an hour."""


class _KeptAlive(asyncpg.Connection):
    """A connection whose other end may vanish."""

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        found = transport.get_extra_info("socket")
        if found is not None and found.family in {socket.AF_INET, socket.AF_INET6}:
            for (level, name), value in _KEPT_ALIVE.items():
                found.setsockopt(level, name, value)


async def connect(
    uri: str, application: str, seconds: float = CONNECT_TIMEOUT
) -> "Connection[asyncpg.Record]":
    """Open a connection that works behind a pooler too. Raises ``DependencyError``."""
    try:
        connection = await asyncpg.connect(
            uri,
            timeout=seconds,
            connection_class=_KeptAlive,
            # A named statement lives in a session, and a pooler may give each transaction another.
            statement_cache_size=0,
            server_settings={"application_name": application[:63]},
        )
    except ERRORS as error:
        # A certificate that is refused is an OSError and a ValueError at once.
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            # What a URI that cannot be parsed says of itself may be a part of its password.
            raise DependencyError(
                "InvalidUri",
                "the sink's URI cannot be read: it must be postgresql://user:password@host/database"
                " with special characters percent-encoded",
            ) from None
        raise failure(error) from error
    try:
        # In a transaction, for a pooler may run a statement in another session than parsed it.
        async with connection.transaction():
            for name, encoder in _ENCODERS.items():
                await connection.set_type_codec(
                    name, schema="pg_catalog", encoder=encoder, decoder=bytes, format="binary"
                )
    except BaseException as error:
        connection.terminate()
        if isinstance(error, ERRORS):
            raise failure(error) from error
        raise
    return connection


def _date(value: date) -> bytes:
    return _DAYS.pack(value.toordinal() - _YEAR_2000.toordinal())


def _timestamp(value: datetime) -> bytes:
    return _microseconds(value - _LOCAL_YEAR_2000)


def _timestamptz(value: datetime) -> bytes:
    return _microseconds(value - _YEAR_2000)


def _microseconds(since: timedelta) -> bytes:
    return _TIME.pack((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _jsonb(value: bytes) -> bytes:
    """Encode jsonb's binary form: the number of its version, then the JSON."""
    return b"\x01" + value


_ENCODERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "json": bytes,
    "jsonb": _jsonb,
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
}
"""Binary forms that asyncpg's own codecs do not give: those of json are text, and those of dates
and times, twice as slow, take the first and the last that Python knows for infinity."""
