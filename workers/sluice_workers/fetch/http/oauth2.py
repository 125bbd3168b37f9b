"""Tokens by OAuth 2.0 client credentials, asked for once by all processes of a job.

The token lies in Redis until shortly before it expires, encrypted by a key made from the client's
secret: who shares the Redis but not the secret cannot read it. Who needs a new one takes a lock;
the others wait for what it brings. The lock only saves requests: it ends by itself, and without
Redis each process asks for a token of its own.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from cryptography.fernet import Fernet, InvalidToken
from redis.asyncio import Redis
from redis.exceptions import RedisError
from yarl import URL

from sluice_api.auth import Auth, ClientAuthentication, OAuth2ClientCredentials
from sluice_api.names import JobName
from sluice_workers.fetch import metrics
from sluice_workers.fetch.connection import ERRORS, connection_failure, lacks_permit
from sluice_workers.fetch.http.credentials import AuthenticationError, Grant, secret_values
from sluice_workers.fetch.routes import Route
from sluice_workers.fetch.untold import Untold

LOCK: Final = 10.0
"""Seconds that others wait at the most for the one that asks."""
LOOK: Final = 0.1
"""Seconds between two looks for what it brought."""
MARGIN: Final = 30.0
"""Seconds before its end when a token is asked for anew; a tenth of its time if that is less."""
UNTOLD: Final = 3600.0
"""Seconds that a token is used whose end nobody tells."""
LONGEST: Final = 30 * 24 * 3600.0
LEAST: Final = 1.0
"""Seconds that a token is used at the least, and that a failure is not tried again."""
YOUNG: Final = 10.0
"""Seconds within which a token that the API refuses is not asked for anew: the next would fare no
better, and the token endpoint is nobody's to flood."""
MOST_BYTES: Final = 64 << 10
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Client:
    """Who asks; its names in Redis, and its cipher, follow from all that makes a token."""

    id: str
    secret: str = field(repr=False)
    purpose: str

    @property
    def mark(self) -> str:
        """A name that tells nothing."""
        return hashlib.sha256(f"{self.id}\0{self.purpose}".encode()).hexdigest()[:16]

    @property
    def cipher(self) -> Fernet:
        """What encrypts its tokens."""
        key = hmac.digest(self.secret.encode(), f"sluice token {self.purpose}".encode(), "sha256")
        return Fernet(base64.urlsafe_b64encode(key))


@dataclass(frozen=True, slots=True)
class _Token:
    grant: Grant
    until: float
    """Monotonic seconds."""
    since: float = field(default_factory=time.monotonic)
    """When this process got it."""


class ClientCredentials:
    """One process's view of the job's token."""

    def __init__(
        self, auth: Auth, folder: Path, redis: Redis, job: JobName, timeout: float
    ) -> None:
        """Raise ``ConfigurationError`` when the Secret lacks something."""
        assert auth.oauth2_client_credentials is not None  # noqa: S101  the caller looked
        self._auth = auth
        self._settings: OAuth2ClientCredentials = auth.oauth2_client_credentials
        self._folder = folder
        self._redis = redis
        self._job = job
        self._timeout = timeout
        self._token: _Token | None = None
        self._turn = asyncio.Lock()
        self._failure: tuple[float, str] | None = None
        self._client()

    @property
    def ready(self) -> bool:
        """Whether there is a token that has not expired."""
        return self._token is not None and time.monotonic() < self._token.until

    async def current(self, route: Route) -> Grant:
        """Return the token, a new one if need be. Raises ``AuthenticationError``."""
        if self._token is None or not self.ready:
            async with self._turn:
                if self._token is None or not self.ready:
                    self._token = await self._obtain(None, route)
        return self._token.grant

    async def refreshed(self, refused: Grant, route: Route) -> Grant | None:
        """Return another token than the one refused. Raises ``AuthenticationError``."""
        async with self._turn:
            token = self._token
            if token is None or (token.grant == refused and token.since + YOUNG < time.monotonic()):
                self._token = token = await self._obtain(refused, route)
            return token.grant if token.grant != refused else None

    async def _obtain(self, refused: Grant | None, route: Route) -> _Token:
        if self._failure is not None and time.monotonic() < self._failure[0] + LEAST:
            raise AuthenticationError(self._failure[1])
        client = self._client()
        try:
            return await self._together(client, refused, route)
        except RedisError as error:
            _LOG.warning("the job's token is not shared: %s", error)
            return (await self._asked(client, route))[0]

    async def _together(self, client: _Client, refused: Grant | None, route: Route) -> _Token:
        """Return what another process asked for, or ask for all. Raises ``RedisError``."""
        key = self._job.redis_key(f"token:{client.mark}")
        lock = self._redis.lock(f"{key}:lock", timeout=LOCK, blocking=False)
        deadline = time.monotonic() + LOCK
        while not (taken := await lock.acquire()) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)
            if (found := await self._shared(key, client)) and found.grant != refused:
                return found
        try:
            if (found := await self._shared(key, client)) and found.grant != refused:
                return found
            token, sealed = await self._asked(client, route)
            left = max(LEAST, token.until - time.monotonic())
            with suppress(RedisError):
                await self._redis.set(key, sealed, px=int(left * 1000))
            return token
        finally:
            if taken:
                with suppress(RedisError):
                    await lock.release()

    async def _shared(self, key: str, client: _Client) -> _Token | None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(key)
            pipe.pttl(key)
            sealed, left = await pipe.execute()
        if not sealed or left <= 0:
            return None
        try:
            text = client.cipher.decrypt(sealed).decode()
        except InvalidToken:  # encrypted for a secret that was changed
            return None
        return _Token(_bearer(text), time.monotonic() + left / 1000)

    async def _asked(self, client: _Client, route: Route) -> tuple[_Token, bytes]:
        """Ask the token endpoint; return the token, and encrypted for others."""
        begin = time.monotonic()
        try:
            status, body = await self._post(client, route)
            text, lifetime = token_of(status, body)
        except AuthenticationError as error:
            metrics.TOKEN_REQUESTS.labels("failed").inc()
            self._failure = (time.monotonic(), str(error))
            raise
        metrics.TOKEN_REQUESTS.labels("granted").inc()
        usable = max(LEAST, lifetime - min(MARGIN, lifetime / 10))
        return _Token(_bearer(text), begin + usable), client.cipher.encrypt(text.encode())

    async def _post(self, client: _Client, route: Route) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout):
                if route.tally is None:
                    return await self._send(client, route)
                return await route.tally.patiently(lambda: self._send(client, route))
        except TimeoutError:
            message = f"the token endpoint did not answer within {self._timeout:g} s"
            raise AuthenticationError(message) from None
        except ERRORS as error:
            if lacks_permit(error):
                raise
            message = f"the token endpoint cannot be reached: {connection_failure(error).message}"
            raise AuthenticationError(message) from None

    async def _send(self, client: _Client, route: Route) -> tuple[int, bytes]:
        fields = {"grant_type": "client_credentials", **self._settings.parameters}
        if self._settings.scopes:
            fields["scope"] = " ".join(self._settings.scopes)
        headers = {
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
        }
        if self._settings.authentication is ClientAuthentication.HEADER:
            # Each is form-encoded first (RFC 6749, 2.3.1).
            pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": client.id, "client_secret": client.secret}
        request = route.session.request(
            "POST",
            URL(self._settings.token_url),
            data=urlencode(fields).encode(),
            headers=headers,
            allow_redirects=False,
        )
        async with request as response:
            body = bytearray()
            while len(body) < MOST_BYTES and (chunk := await response.content.readany()):
                body += chunk
            return response.status, bytes(body)

    def _client(self) -> _Client:
        """Read the mounted Secret, which may have changed. Raises ``ConfigurationError``."""
        name, secret = secret_values(self._auth, self._folder)
        return _Client(name, secret, self._settings.model_dump_json(exclude={"secret_ref"}))


def token_of(status: int, body: bytes) -> tuple[str, float]:
    """Return a token endpoint's token, and the seconds it is good for.

    Raises ``AuthenticationError``, which tells the endpoint's error code and nothing else of it.
    """
    answer: Any
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    found = answer if isinstance(answer, dict) else {}
    token, kind = found.get("access_token"), found.get("token_type", "bearer")
    if status != 200:  # noqa: PLR2004  what RFC 6749 says
        code = found.get("error")
        told = f": {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
        raise AuthenticationError(f"the token endpoint answered {status}{told}")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise AuthenticationError("the token endpoint's answer holds no access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise AuthenticationError("the token endpoint's token_type must be Bearer")
    lifetime = found.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
        return token, UNTOLD
    return token, min(float(lifetime), LONGEST)


def _bearer(token: str) -> Grant:
    return Grant({"authorization": f"Bearer {token}"}, None, Untold((token,)))
