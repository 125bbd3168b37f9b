"""What the operator reports: the status of an IngestionJob."""

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from sluice_api.model import Model


class Phase(StrEnum):
    """A job's conditions in one word, for people."""

    PENDING = "Pending"
    SEEDING = "Seeding"
    RUNNING = "Running"
    COMPLETED = "Completed"
    SUSPENDED = "Suspended"
    DEGRADED = "Degraded"
    TERMINATING = "Terminating"


class ConditionType(StrEnum):
    """The conditions of a job."""

    READY = "Ready"
    TOPICS_READY = "TopicsReady"
    MIGRATIONS_READY = "MigrationsReady"
    SEEDED = "Seeded"
    WORKERS_READY = "WorkersReady"
    SCALING = "Scaling"
    DEGRADED = "Degraded"
    COMPLETED = "Completed"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """A condition, as the Kubernetes API conventions shape it."""

    type: ConditionType
    """What is judged."""
    status: ConditionStatus
    """Whether it holds."""
    reason: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=128)
    """Why, in one CamelCase word."""
    message: str = Field(default="", max_length=4096)
    """Why, in a sentence that names the next step."""
    observed_generation: int = 0
    """The generation of the spec that was judged."""
    last_transition_time: datetime
    """When the status last changed."""


class TopicStatus(Model):
    """A topic of the job."""

    name: str
    """The topic's name."""
    generation: int = Field(ge=0)
    """Seconds from 2026-01-01T00:00:00Z to its creation; grows when the topic is made anew."""


class TopicsStatus(Model):
    """The topics of the job, once they exist."""

    items: TopicStatus | None = None
    records: TopicStatus | None = None
    dead: TopicStatus | None = None


class RunStatus(Model):
    """One pass over the items of a job whose mode is Once, or the seeding of a continuous one."""

    id: str
    """The run's id, part of each seeded item's id."""
    started_at: datetime
    """When the run began."""
    seeded_at: datetime | None = None
    """When every item had been written to the items topic."""
    items_end: tuple[int, ...] | None = None
    """For each partition of the items topic, the offset after the last seeded item."""
    records_end: tuple[int, ...] | None = None
    """For each partition of the records topic, the end read after all items were fetched."""
    completed_at: datetime | None = None
    """When the last record's row was committed, and the record archived where that is asked for."""


class RedriveStatus(Model):
    """The current or last redrive."""

    id: str
    """Its id, as spec.redrive gave it."""
    started_at: datetime
    """When it began."""
    completed_at: datetime | None = None
    """When every item that was chosen had been put back."""
    items: int | None = None
    """Items that were put back, or would be by a dry run."""
    gone: int | None = None
    """Items of which neither the dead topic nor the items topic holds enough to put them back."""


class LagStatus(Model):
    """Lag of one consumer group, summed and at its worst."""

    total: int = 0
    """Messages that are written and not yet committed as consumed."""
    worst_partition: int | None = None
    """The partition with the most of them."""
    worst: int = 0
    """How many it has."""


class ScalingDecision(Model):
    """The last decision on the number of pods, with what it was made from."""

    replicas: int
    """The pods wanted."""
    reason: str = ""
    """Why, in a sentence."""
    bound: str | None = None
    """Which bound held the number down, when one did."""
    lag: int = 0
    """The lag it was made from."""
    rate_per_replica: float | None = None
    """Messages a second that one pod was seen to consume."""
    decided_at: datetime | None = None
    """When the number last changed."""


class WorkersStatus(Model):
    """The pods of one component."""

    desired: int = 0
    """Pods wanted."""
    ready: int = 0
    """Pods that are ready."""
    lag: LagStatus = LagStatus()
    """What they have yet to consume."""
    scaling: ScalingDecision | None = None
    """The last scaling decision."""


class IngestionJobStatus(Model):
    """What the operator last saw and decided. Unknown fields of later versions are ignored."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: int = 0
    """The generation of the spec that this status answers."""
    phase: Phase = Phase.PENDING
    """The conditions in one word."""
    progress: str = ""
    """How much of the run is written, such as 81%; empty for a continuous job."""
    lag: int = 0
    """Items not yet fetched and records not yet written."""
    fetchers: str = "0/0"
    """Fetcher pods, ready and wanted."""
    writers: str = "0/0"
    """Writer pods, ready and wanted."""
    failed: int = 0
    """Keys in the failed set."""
    conditions: tuple[Condition, ...] = ()
    """The conditions in full."""
    topics: TopicsStatus = TopicsStatus()
    """The topics, with their generations."""
    run: RunStatus | None = None
    """The current or last run."""
    redrive: RedriveStatus | None = None
    """The current or last redrive."""
    fetcher: WorkersStatus = WorkersStatus()
    """The fetcher pods."""
    writer: WorkersStatus = WorkersStatus()
    """The writer pods."""
    archiver: WorkersStatus = WorkersStatus()
    """The archiver pods."""
