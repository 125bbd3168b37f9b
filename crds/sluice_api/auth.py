"""How requests prove who sends them."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from sluice_api.model import Model, exactly_one, rule, rules
from sluice_api.references import SecretReference

HEADER_NAME: Final = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"


class TokenReference(SecretReference):
    """One key of a Secret, a token."""

    key: str = Field(default="token", min_length=1, max_length=253)
    """The key in its data."""


class ApiKeyReference(SecretReference):
    """One key of a Secret, an API key."""

    key: str = Field(default="key", min_length=1, max_length=253)
    """The key in its data."""


class Bearer(Model):
    """A token in the header Authorization: Bearer."""

    secret_ref: TokenReference
    """The Secret that holds the token."""


class Basic(Model):
    """A user and a password in the header Authorization: Basic."""

    secret_ref: SecretReference
    """The Secret that holds them, by the keys username and password."""


class HeaderKey(Model):
    """An API key in a header."""

    name: str = Field(max_length=128, pattern=HEADER_NAME)
    """The header's name, such as X-API-Key."""
    secret_ref: ApiKeyReference
    """The Secret that holds the key."""


class QueryKey(Model):
    """An API key in the query of each URL."""

    name: str = Field(min_length=1, max_length=128)
    """The parameter's name."""
    secret_ref: ApiKeyReference
    """The Secret that holds the key."""


class ClientAuthentication(StrEnum):
    """Where a token request carries the client's id and secret."""

    HEADER = "Header"
    BODY = "Body"


class OAuth2ClientCredentials(Model):
    """A token by OAuth 2.0 client credentials (RFC 6749, 4.4), fetched once for all processes.

    It is kept in Redis, encrypted by a key that is made from the client's secret.
    """

    token_url: str = Field(
        max_length=2048,
        json_schema_extra=rules(
            rule(
                "self.matches('^https?://.+')",
                "'must be an http:// or https:// URL, found \"' + self + '\"'",
            )
        ),
    )
    """Where tokens are asked for."""
    secret_ref: SecretReference
    """The Secret that holds the client, by the keys clientId and clientSecret."""
    scopes: tuple[str, ...] = Field(
        default=(), max_length=64, json_schema_extra={"itemMaxLength": 256}
    )
    """What the token shall be good for."""
    parameters: dict[str, Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=dict, max_length=16
    )
    """Further parameters of the token request, such as audience."""
    authentication: ClientAuthentication = ClientAuthentication.HEADER
    """Whether the token request carries id and secret as Basic authentication, or in its body."""


class Auth(Model):
    """Who sends the requests: exactly one of the five."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            exactly_one("bearer", "basic", "header", "query", "oauth2ClientCredentials")
        )
    )

    bearer: Bearer | None = None
    basic: Basic | None = None
    header: HeaderKey | None = None
    query: QueryKey | None = None
    oauth2_client_credentials: OAuth2ClientCredentials | None = None

    @property
    def secret(self) -> tuple[str, tuple[str, ...]]:
        """The name of the Secret, and the keys that it must hold."""
        for one in (self.bearer, self.header, self.query):
            if one is not None:
                return one.secret_ref.name, (one.secret_ref.key,)
        if self.basic is not None:
            return self.basic.secret_ref.name, ("username", "password")
        assert self.oauth2_client_credentials is not None  # noqa: S101  exactly one is given
        return self.oauth2_client_credentials.secret_ref.name, ("clientId", "clientSecret")
