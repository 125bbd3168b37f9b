"""The parts of a fetcher, made of its settings and what its pod has mounted."""

import uuid
from pathlib import Path

from redis.asyncio import Redis

from sluice_api.errors import ConfigurationError
from sluice_api.http import Http, Version
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Gate
from sluice_workers.fetch.handler import HandlerApi
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.credentials import Credentials, Static
from sluice_workers.fetch.http.exchange import Permission
from sluice_workers.fetch.http.oauth2 import ClientCredentials
from sluice_workers.fetch.leased_routes import Bounds, LeasedRoutes
from sluice_workers.fetch.permits import Permits
from sluice_workers.fetch.rate_limit import Limiter, TokenBucket
from sluice_workers.fetch.rest import SharedRest
from sluice_workers.fetch.routes import Direct, Routes
from sluice_workers.settings import FetcherSettings, read_secret
from sluice_workers.trouble import Say


class Assembly:
    """What is the same for all parts; to be used inside the event loop that uses them."""

    def __init__(self, settings: FetcherSettings, folder: Path, redis: Redis, say: Say) -> None:
        """``say`` is told reason and message of what is wrong with a part."""
        self._settings = settings
        self._folder = folder
        self._redis = redis
        self._say = say
        self._addresses = Addresses(settings.allowed_addresses)

    def source(self, permission: Permission, gate: Gate) -> Api | HandlerApi:
        """Return what is asked for each item. Raises ``ConfigurationError``."""
        settings, folder, addresses = self._settings, self._folder, self._addresses
        if settings.http is not None:
            secrets = read_secret(folder / "headers")
            credentials = self._credentials(settings.http)
            return Api(settings.http, secrets, credentials, permission, gate, addresses)
        if settings.handler is None:
            raise ConfigurationError("fetcher.json: one of http and handler must be given")
        secrets = read_secret(folder / "handler")
        return HandlerApi(settings.handler, secrets, permission, gate, addresses)

    def routes(self) -> Routes:
        """Return the ways to the API."""
        settings, addresses = self._settings, self._addresses
        proxies = settings.proxies
        http2 = settings.http is not None and settings.http.version is Version.HTTP_2
        if proxies is None and settings.max_connections is None:
            return Direct(settings.concurrency, addresses, http2=http2)
        file = self._folder / "proxies" / proxies.secret_ref.key if proxies else None
        bounds = Bounds(proxies, file, settings.max_connections, http2)
        shared = proxies.shared if proxies else None
        key = f"sluice:{{shared/{shared}}}:permits" if shared else settings.job.redis_key("permits")
        permits = Permits(self._redis, key, uuid.uuid4().hex)
        return LeasedRoutes(bounds, permits, addresses, self._say)

    def limiter(self) -> Limiter:
        """Return what lets requests start."""
        job, limit = self._settings.job, self._settings.rate_limit
        if limit is None:
            return SharedRest(self._redis, job)
        return TokenBucket(self._redis, job, limit, self._say)

    def _credentials(self, http: Http) -> Credentials | None:
        if http.auth is None:
            return None
        folder = self._folder / "auth"
        if http.auth.oauth2_client_credentials is None:
            return Static(http.auth, folder)
        job, timeout = self._settings.job, http.timeout.seconds
        return ClientCredentials(http.auth, folder, self._redis, job, timeout)
