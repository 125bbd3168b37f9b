"""What a user asks for: the spec of an IngestionJob."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from sluice_api.archive import ArchiverReplicas
from sluice_api.duration import Duration, Span
from sluice_api.failure import FailureReason
from sluice_api.model import Model, rule, rules
from sluice_api.quantity import Quantity
from sluice_api.references import SecretReference
from sluice_api.sink import Sink
from sluice_api.source import Mode, Source


class Compression(StrEnum):
    """Codecs of producer batches."""

    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Topics(Model):
    """The topics that the job owns."""

    partitions: int = Field(
        default=12,
        ge=1,
        le=1000,
        json_schema_extra=rules(
            rule(
                "self == oldSelf",
                "'cannot change after creation, because keys would move: was %d, found %d'"
                ".format([oldSelf, self])",
            )
        ),
    )
    """Partitions of the items and records topics; the bound of parallel pods."""
    retention: Duration | None = None
    """How long items and records stay after they were produced, once every group has consumed them;
    for ever unless given. 0s deletes what is consumed. Nothing is deleted that a group has yet to
    read, of a topic that the job does not own, or of the dead topic."""
    replication_factor: int | None = Field(default=None, ge=1, le=9)
    """Replicas of each partition; the broker's default unless given."""
    compression: Compression = Compression.ZSTD
    """The codec of producer batches."""


class Batch(Model):
    """When a writer commits.

    At minSize records, at maxBytes, or when timeout is over, whichever comes first.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.minSize <= self.maxSize",
                "'must not be above maxSize (%d), found %d'.format([self.maxSize, self.minSize])",
                field=".minSize",
            )
        )
    )

    min_size: int = Field(default=500, ge=1, le=100_000)
    """Records that make a batch worth committing."""
    max_size: int = Field(default=5000, ge=1, le=100_000)
    """Records that a batch holds at the most."""
    timeout: Duration = Duration("2s")
    """How long the first record of a batch waits at the most."""
    max_bytes: int = Field(default=16 << 20, ge=1 << 16, le=1 << 30)
    """Bytes of records that a batch holds at the most; a single longer record is a batch alone."""


class Resources(Model):
    """Requests and limits of a container."""

    requests: dict[str, Quantity] = Field(default_factory=dict, max_length=8)
    """What the scheduler reserves."""
    limits: dict[str, Quantity] = Field(default_factory=dict, max_length=8)
    """What the container may use at the most."""


_REPLICAS_IN_ORDER = rule(
    "self.min <= self.max",
    "'must not be above max (%d), found %d'.format([self.max, self.min])",
    field=".min",
)


class FetcherReplicas(Model):
    """Bounds of the number of fetcher pods."""

    model_config = ConfigDict(json_schema_extra=rules(_REPLICAS_IN_ORDER))

    min: int = Field(default=0, ge=0, le=1000)
    """Pods that run even when there is no lag."""
    max: int = Field(default=6, ge=1, le=1000)
    """Pods at the most; more than the partitions can feed are never started."""


class WriterReplicas(Model):
    """Bounds of the number of writer pods."""

    model_config = ConfigDict(json_schema_extra=rules(_REPLICAS_IN_ORDER))

    min: int = Field(default=0, ge=0, le=1000)
    """Pods that run even when there is no lag."""
    max: int = Field(default=12, ge=1, le=1000)
    """Pods at the most; more than the partitions can feed are never started."""


class Window(Model):
    """What a fetcher takes ahead of the first item that is not done."""

    max_items: int = Field(default=10_000, ge=1, le=1_000_000)
    """Items of one partition from the first that is not done to the last that was taken; an item
    that waits for its retry stops its partition when so many others have passed it."""
    max_bytes: int = Field(default=32 << 20, ge=1 << 20, le=4 << 30)
    """Bytes that the items which are not done may hold in each process, divided evenly among its
    partitions."""


class Fetcher(Model):
    """The pods that call the API."""

    replicas: FetcherReplicas = FetcherReplicas()
    """How many pods."""
    processes: int = Field(default=2, ge=1, le=64)
    """Event loops in each pod, each a process of its own."""
    concurrency: int = Field(default=200, ge=1, le=10_000)
    """Requests in flight in each process."""
    window: Window = Window()
    """How far a process may be ahead of what is committed."""
    image: str | None = Field(default=None, min_length=1, max_length=512)
    """The image; the operator's own unless given."""
    resources: Resources | None = None
    """Requests and limits; computed from processes, concurrency and bytes unless given."""


class Writer(Model):
    """The pods that write to the sink."""

    replicas: WriterReplicas = WriterReplicas()
    """How many pods."""
    image: str | None = Field(default=None, min_length=1, max_length=512)
    """The image; the operator's own unless given."""
    resources: Resources | None = None
    """Requests and limits; computed from batch sizes and row bytes unless given."""


class Archiver(Model):
    """The pods that write to the archive, where sink.archive asks for one."""

    replicas: ArchiverReplicas = ArchiverReplicas()
    """How many pods."""
    image: str | None = Field(default=None, min_length=1, max_length=512)
    """The image; the operator's own unless given."""
    resources: Resources | None = None
    """Requests and limits; computed from sink.archive.maxBytes unless given."""


class Scaling(Model):
    """How the number of pods follows the lag."""

    catch_up: Span = Span("60s")
    """How soon a backlog should be gone."""
    lag_per_replica: int | None = Field(default=None, ge=1)
    """The lag one pod is started for; computed from the observed rate and catchUp unless given."""
    scale_down_after: Duration = Duration("5m")
    """How long fewer pods must have been enough before any is stopped."""


class Connections(Model):
    """The broker and the Redis of this job; the operator's own unless given."""

    kafka: SecretReference | None = Field(
        default=None,
        json_schema_extra=rules(
            rule("self == oldSelf", "'the broker of a job cannot change after creation'")
        ),
    )
    """A Secret with bootstrapServers and, where needed, securityProtocol, saslMechanism, username,
    password and ca.crt."""
    redis: SecretReference | None = None
    """A Secret with url."""


class Redrive(Model):
    """A wish to have given-up items put back; each wish is carried out once."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.id != oldSelf.id || self == oldSelf",
                "'must be another when reasons, keys or dryRun change: an id is carried out once,'"
                " + ' found \"' + self.id + '\" again'",
                field=".id",
            )
        )
    )

    id: str = Field(min_length=1, max_length=63, pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the wish; another id is another wish."""
    reasons: tuple[FailureReason, ...] = Field(default=(), max_length=32)
    """Which failures; all unless given."""
    keys: tuple[str, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"itemMaxLength": 1024}
    )
    """Which item keys; all unless given."""
    dry_run: bool = False
    """Only counts what would be put back."""


class DeletionPolicy(StrEnum):
    """What becomes of the job's topics when the job is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class IngestionJobSpec(Model):
    """What an IngestionJob should do."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(  # the rule of the field itself sees a change, not a field that comes or goes
                "(has(self.connections) && has(self.connections.kafka))"
                " == (has(oldSelf.connections) && has(oldSelf.connections.kafka))",
                "'the broker of a job cannot change after creation'",
                field=".connections.kafka",
            ),
            rule(
                "!(has(self.redrive) && has(self.source.archive))",
                "'must not be given with source.archive: a replay has no items to put back'",
                field=".redrive",
            ),
        )
    )

    source: Source
    """Where items come from, and how each becomes records."""
    sink: Sink
    """Where records end."""
    mode: Mode = Field(
        default=Mode.CONTINUOUS,
        json_schema_extra=rules(
            rule("self == oldSelf", "'mode cannot change after creation: create another job'")
        ),
    )
    """Once ends when every item is done; Continuous goes on."""
    topics: Topics = Topics()
    """The topics between the steps."""
    batch: Batch = Batch()
    """When a writer commits."""
    fetcher: Fetcher = Fetcher()
    """The pods that call the API."""
    writer: Writer = Writer()
    """The pods that write to the sink."""
    archiver: Archiver = Archiver()
    """The pods that write to the archive."""
    scaling: Scaling = Scaling()
    """How the number of pods follows the lag."""
    connections: Connections = Connections()
    """The broker and the Redis."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """What becomes of the topics when the job is deleted; rows are never touched."""
    redrive: Redrive | None = None
    """Has given-up items put back into the items topic; `sluice redrive` sets it."""
    suspend: bool = False
    """Stops all pods of the job; what is in the topics stays."""
