"""The operator's configuration, from environment variables and the Secrets that they name."""

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError, field_validator

from sluice_api.errors import ConfigurationError
from sluice_api.model import Model, describe
from sluice_workers.settings import KafkaConnection, read_text

PREFIX: Final = "SLUICE_"
_FOLDER: Final = "SLUICE_CONNECTIONS"
_REDIS: Final = "SLUICE_REDIS_URL"
_KAFKA: Final = {
    "bootstrapServers": "SLUICE_KAFKA_BOOTSTRAP_SERVERS",
    "securityProtocol": "SLUICE_KAFKA_SECURITY_PROTOCOL",
    "saslMechanism": "SLUICE_KAFKA_SASL_MECHANISM",
    "username": "SLUICE_KAFKA_USERNAME",
    "password": "SLUICE_KAFKA_PASSWORD",
    "ca.crt": "SLUICE_KAFKA_CA",
}


class Connections(Model):
    """A broker and a Redis."""

    kafka: KafkaConnection
    """The broker."""
    redis_url: str = Field(alias=_REDIS, pattern="^rediss?://", repr=False)
    """The Redis."""


class OperatorSettings(Model):
    """What the operator is told at its start."""

    worker_image: str = Field(alias="SLUICE_WORKER_IMAGE", min_length=1)
    """The image of all pods of a job, unless the job names another."""
    given: Connections | None = None
    """The broker and the Redis of jobs that name none, where variables give them."""
    folder: Path | None = Field(default=None, alias=_FOLDER)
    """Where they are otherwise: the mounted Secrets ``kafka`` and ``redis``, read at each look."""
    namespace: str | None = Field(default=None, alias="SLUICE_NAMESPACE", min_length=1)
    """The one namespace to watch; all of them unless given."""
    allowed_addresses: tuple[str, ...] = Field(default=(), alias="SLUICE_ALLOWED_ADDRESSES")
    """Networks (CIDR, separated by commas) among the loopback and link-local addresses that jobs
    may send requests to; none unless given."""
    port: int = Field(default=8080, alias="SLUICE_PORT", ge=1, le=65535)
    """Where /livez, /readyz and /metrics are served."""

    @field_validator("allowed_addresses", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return [each.strip() for each in given.split(",") if each.strip()]

    @field_validator("allowed_addresses")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for network in given:
            ip_network(network)
        return given

    def connections(self) -> Connections:
        """Return the broker and the Redis of jobs that name none, as they are just now.

        Raises ``ConfigurationError`` for files that cannot be read.
        """
        return self.given or _mounted(self.folder or Path())


def read(environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Read the settings. Raises ``ConfigurationError`` that lists every mistake at once."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    variables: dict[str, object] = {}
    if redis := given.pop(_REDIS, None):
        variables[_REDIS] = redis
    if kafka := {key: given.pop(name) for key, name in _KAFKA.items() if given.get(name)}:
        variables["kafka"] = kafka
    known = {field.alias for field in OperatorSettings.model_fields.values()}
    content: dict[str, object] = {name: given[name] for name in known & given.keys() if name}
    if _FOLDER not in content:
        content["given"] = {"kafka": {}, **variables}
    elif variables:
        found = ", ".join(sorted(environment.keys() & {_REDIS, *_KAFKA.values()}))
        raise ConfigurationError(
            f"environment: {_FOLDER} names the Secrets of broker and Redis: leave out {found}"
        )
    try:
        settings = OperatorSettings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"environment: {describe(error)}") from error
    settings.connections()
    return settings


def _mounted(folder: Path) -> Connections:
    url = read_text(folder / "redis" / "url").strip()
    try:
        return Connections.model_validate({"kafka": KafkaConnection.read(folder), _REDIS: url})
    except ValidationError as error:
        raise ConfigurationError(f"{folder}: {describe(error)}") from error
