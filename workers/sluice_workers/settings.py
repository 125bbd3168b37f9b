"""The configuration of each process: one model a role, read from a folder the operator mounts.

<folder>/settings/<role>.json   what the operator decided, from a ConfigMap
<folder>/kafka/                 bootstrapServers, securityProtocol, … from a Secret
<folder>/redis/url              from a Secret; followed when it changes
<folder>/sink/<key>             the sink's connection URI, from a Secret
<folder>/archive/<name>         the keys of the archive's bucket, from a Secret
<folder>/source/<key>           the connection URI of a Postgres source, from a Secret
<folder>/headers/<name>         headers of every request, from a Secret
<folder>/auth/<key>             the credentials of http.auth, from a Secret
<folder>/proxies/<key>          the list of proxies, from a Secret; followed when it changes
<folder>/handler/<name>         what the user's own coroutine is given, from a Secret
<folder>/items/<key>            items, from a ConfigMap
"""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError

from sluice_api.archive import Archive, ArchiveSource
from sluice_api.errors import ConfigurationError
from sluice_api.failure import FailureReason
from sluice_api.http import Http
from sluice_api.model import Model, describe
from sluice_api.names import JobName
from sluice_api.sink import PostgresSink
from sluice_api.source import CircuitBreaker, Handler, Items, Proxies, RateLimit, Retry
from sluice_api.spec import Batch, Compression, Window

DEFAULT_FOLDER: Final = Path("/etc/sluice")
PORT: Final = 8080


class Topic(Model):
    """A topic and the generation its offsets are keyed by."""

    name: str
    generation: int = Field(ge=0)


class ProcessSettings(Model):
    """What every role needs to know about its job."""

    namespace: str
    name: str
    uid: str

    @property
    def job(self) -> JobName:
        """The job's namespace and name."""
        return JobName(self.namespace, self.name)

    @classmethod
    def read(cls, folder: Path, role: str) -> Self:
        """Read and validate ``<folder>/settings/<role>.json``.

        Raises ``ConfigurationError`` that lists every wrong field at once.
        """
        path = folder / "settings" / f"{role}.json"
        try:
            return cls.model_validate_json(read_text(path))
        except ValidationError as error:
            raise ConfigurationError(f"{path}: {describe(error)}") from error


class SeedSettings(ProcessSettings):
    """The seed: items into the items topic."""

    run: str
    items: Items
    topic: Topic
    compression: Compression


class ReplaySettings(ProcessSettings):
    """The replay: records of an archive into the records topic."""

    archive: ArchiveSource
    records: Topic
    compression: Compression


class FetcherSettings(ProcessSettings):
    """The fetcher: items topic, HTTP, records topic."""

    items: Topic
    records: Topic
    dead: Topic
    compression: Compression
    http: Http | None = None
    handler: Handler | None = None
    """The one of the two that the job has."""
    proxies: Proxies | None = None
    max_connections: int | None = None
    allowed_addresses: tuple[str, ...] = ()
    """Networks among the loopback and link-local addresses that requests may go to."""
    retry: Retry
    circuit_breaker: CircuitBreaker
    rate_limit: RateLimit | None = None
    processes: int
    concurrency: int
    window: Window = Window()


class WriterSettings(ProcessSettings):
    """The writer: records topic, Postgres."""

    records: Topic
    partitions: int = Field(default=1, ge=1)
    """Of the records topic: what is read ahead is divided among them."""
    dead: Topic
    compression: Compression
    sink: PostgresSink
    batch: Batch


class ArchiverSettings(ProcessSettings):
    """The archiver: records topic, S3."""

    run: str
    records: Topic
    archive: Archive
    ends: bool
    """Whether the run ends: then its last records are not held for long."""


class RedriveSettings(ProcessSettings):
    """The redrive: dead topic, items topic."""

    id: str
    reasons: tuple[FailureReason, ...] = ()
    """Which failures; all unless given."""
    keys: tuple[str, ...] = ()
    """Which item keys; all unless given."""
    dry_run: bool = False
    items: Topic
    dead: Topic
    compression: Compression
    external: bool = False
    """Whether the items topic is somebody else's."""


class MigrateSettings(ProcessSettings):
    """The migration: schema sluice and the target table."""

    sink: PostgresSink


class KafkaConnection(Model):
    """How the broker is reached; the Secret's keys are the fields' camelCase names."""

    bootstrap_servers: str = Field(min_length=1)
    """host:port, several separated by commas."""
    security_protocol: str = Field(
        default="PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$"
    )
    sasl_mechanism: str | None = Field(
        default=None, pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$"
    )
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    ca_certificate: str | None = Field(default=None, alias="ca.crt", repr=False)
    """PEM text of the authorities to trust; the system's unless given."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``<folder>/kafka/``. Raises ``ConfigurationError``."""
        keys = (field.alias or name for name, field in cls.model_fields.items())
        path = folder / "kafka"
        found = {key: read_text(path / key).strip() for key in keys if (path / key).is_file()}
        return cls.parse(found, str(path))

    @classmethod
    def parse(cls, found: dict[str, str], where: str) -> Self:
        """Validate a Secret's data. Raises ``ConfigurationError`` that names ``where``."""
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise ConfigurationError(f"{where}: {describe(error)}") from error


def read_text(path: Path) -> str:
    """The text of a mounted file. Raises ``ConfigurationError`` when it cannot be read."""
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: must be UTF-8 text: {error.reason}") from None


def read_secret(path: Path) -> dict[str, str]:
    """The data of a mounted Secret, without the links that Kubernetes adds; empty without one."""
    return {file.name: read_text(file).strip() for file in sorted(path.glob("[!.]*"))}
