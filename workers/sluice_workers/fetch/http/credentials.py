"""What proves who sends the requests; no text that is made of it shows it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sluice_api.auth import Auth
from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.http.request import with_parameter
from sluice_workers.fetch.routes import Route
from sluice_workers.fetch.untold import Untold
from sluice_workers.settings import read_secret


class AuthenticationError(Exception):
    """No credentials can be had just now; the message says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request carries."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: tuple[str, str] | None = field(default=None, repr=False)
    """A parameter's name and value."""
    untold: Untold = field(default_factory=Untold, repr=False, compare=False)
    """What of it no message tells."""

    def url(self, url: str) -> str:
        """Return the URL with the parameter, if there is one."""
        return with_parameter(url, *self.query) if self.query else url


class Credentials(Protocol):
    """Gives requests their credentials."""

    @property
    def ready(self) -> bool:
        """Whether they can be had without a wait."""

    async def current(self, route: Route) -> Grant:
        """Return what requests carry now. Raises ``AuthenticationError``."""

    async def refreshed(self, refused: Grant, route: Route) -> Grant | None:
        """Return others than those that the API refused; None when there are none.

        Raises ``AuthenticationError``.
        """


class Static:
    """Credentials that a Secret holds; read once more when the API refuses them."""

    ready = True

    def __init__(self, auth: Auth, folder: Path) -> None:
        """Raise ``ConfigurationError`` when the Secret lacks something."""
        self._auth = auth
        self._folder = folder
        self._grant = self._read()

    async def current(self, route: Route) -> Grant:  # noqa: ARG002  the same on every way
        """Return what was read."""
        return self._grant

    async def refreshed(self, refused: Grant, route: Route) -> Grant | None:  # noqa: ARG002
        """Read the Secret again: Kubernetes updates the mounted files."""
        if self._grant == refused:
            try:
                self._grant = self._read()
            except ConfigurationError as error:
                raise AuthenticationError(str(error)) from error
        return self._grant if self._grant != refused else None

    def _read(self) -> Grant:
        values = secret_values(self._auth, self._folder)
        auth = self._auth
        if auth.bearer is not None:
            (token,) = values
            if token.lower().startswith("bearer "):
                raise ConfigurationError(
                    f"source.http.auth.bearer: {auth.secret[1][0]} of the Secret {auth.secret[0]}"
                    " must be the token alone, found the word Bearer before it"
                )
            return Grant({"authorization": f"Bearer {token}"}, None, Untold((token,)))
        if auth.basic is not None:
            user, password = values
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            return Grant({"authorization": f"Basic {pair}"}, None, Untold((pair, password)))
        if auth.header is not None:
            return Grant({auth.header.name: values[0]}, None, Untold(values))
        assert auth.query is not None  # noqa: S101  exactly one is given
        return Grant({}, (auth.query.name, values[0]), Untold(values))


def secret_values(auth: Auth, folder: Path) -> tuple[str, ...]:
    """Return the values of the mounted Secret in the order of its keys.

    Raises ``ConfigurationError`` for one that is missing, empty or longer than a line.
    """
    found = read_secret(folder)
    _, keys = auth.secret
    for key in keys:
        if not found.get(key):
            raise ConfigurationError(
                f"source.http.auth: the Secret {auth.secret[0]} must have a value by the key {key}"
            )
        if not found[key].isprintable():
            raise ConfigurationError(
                f"source.http.auth: {key} of the Secret {auth.secret[0]} must be one line of text"
            )
    return tuple(found[key] for key in keys)
