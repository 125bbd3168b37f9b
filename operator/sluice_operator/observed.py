"""What the operator saw in one look at a job and its surroundings: frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sluice_api.names import JobName
from sluice_api.spec import IngestionJobSpec
from sluice_api.status import IngestionJobStatus
from sluice_workers.settings import KafkaConnection
from sluice_workers.state import PodState, Trouble

Object = dict[str, Any]
"""A Kubernetes object as its JSON."""


@dataclass(frozen=True, slots=True)
class Job:
    """An IngestionJob as the API server holds it."""

    name: JobName
    uid: str
    generation: int
    spec: IngestionJobSpec
    status: IngestionJobStatus


class Progress(Enum):
    """How far a Kubernetes Job is."""

    ABSENT = "absent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """A Kubernetes Job of ours: the migration or the seed."""

    progress: Progress = Progress.ABSENT
    run: str | None = None
    """The run it was made for."""
    digest: str | None = None
    """The digest of the settings it was made with."""
    message: str = ""
    """What its pod last said when it failed."""
    ended_at: datetime | None = None
    troubles: tuple[Trouble, ...] = ()
    """What keeps its pod from starting, as Kubernetes tells."""


@dataclass(frozen=True, slots=True)
class Workers:
    """A Deployment of ours and what its pods say."""

    exists: bool = False
    desired: int = 0
    ready: int = 0
    states: tuple[PodState, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    """What keeps its pods from being made or from starting, as Kubernetes tells."""


@dataclass(frozen=True, slots=True)
class TopicOffsets:
    """A topic's partitions and one group's progress through them.

    ``committed[p]`` is None where the group has no offset; ``ends[p]`` and ``starts[p]`` are the
    offsets of the next and of the oldest message.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    committed: tuple[int | None, ...]

    @property
    def position(self) -> tuple[int, ...]:
        """Where the group goes on: its committed offset, else the oldest message."""
        pairs = zip(self.committed, self.starts, strict=True)
        return tuple(start if offset is None else offset for offset, start in pairs)

    @property
    def lag(self) -> tuple[int, ...]:
        """Messages not yet consumed, for each partition."""
        pairs = zip(self.ends, self.position, strict=True)
        return tuple(max(0, end - position) for end, position in pairs)


@dataclass(frozen=True, slots=True)
class NodeSize:
    """What a node has to give to pods."""

    cpu: Decimal
    memory: Decimal


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at everything a decision needs; None where it could not be seen."""

    now: datetime
    troubles: tuple[Trouble, ...] = ()
    kafka: KafkaConnection | None = None
    redis_url: str | None = None
    partitions: dict[str, int] | None = None
    """Partitions of each topic of the job that exists; None when the broker did not answer."""
    items: TopicOffsets | None = None
    records: TopicOffsets | None = None
    migrate: Task = Task()
    seed: Task = Task()
    fetcher: Workers = Workers()
    writer: Workers = Workers()
    failed: int | None = None
    nodes: tuple[NodeSize, ...] = ()
    existing: dict[str, Object] = field(default_factory=dict)
    """Objects of the job by ``Kind/name``."""
