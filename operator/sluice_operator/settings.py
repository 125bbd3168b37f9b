"""The operator's configuration, from environment variables."""

import os
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Final

from pydantic import Field, ValidationError, field_validator

from sluice_api.errors import ConfigurationError
from sluice_api.model import Model, describe
from sluice_workers.settings import KafkaConnection

PREFIX: Final = "SLUICE_"
_KAFKA: Final = {
    "bootstrapServers": "SLUICE_KAFKA_BOOTSTRAP_SERVERS",
    "securityProtocol": "SLUICE_KAFKA_SECURITY_PROTOCOL",
    "saslMechanism": "SLUICE_KAFKA_SASL_MECHANISM",
    "username": "SLUICE_KAFKA_USERNAME",
    "password": "SLUICE_KAFKA_PASSWORD",
    "ca.crt": "SLUICE_KAFKA_CA",
}


class OperatorSettings(Model):
    """What the operator is told at its start."""

    worker_image: str = Field(alias="SLUICE_WORKER_IMAGE", min_length=1)
    """The image of all pods of a job, unless the job names another."""
    redis_url: str = Field(alias="SLUICE_REDIS_URL", pattern="^rediss?://", repr=False)
    """The Redis of jobs that name none."""
    kafka: KafkaConnection
    """The broker of jobs that name none."""
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


def read(environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Read the settings. Raises ``ConfigurationError`` that lists every mistake at once."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    kafka = {key: given.pop(name) for key, name in _KAFKA.items() if given.get(name)}
    known = {field.alias for field in OperatorSettings.model_fields.values()}
    content = {name: value for name, value in given.items() if name in known}
    try:
        return OperatorSettings.model_validate({**content, "kafka": kafka})
    except ValidationError as error:
        raise ConfigurationError(f"environment: {describe(error)}") from error
