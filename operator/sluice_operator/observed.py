"""What the operator saw in one look at a job and its surroundings: frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final

from sluice_api.names import JobName
from sluice_api.spec import IngestionJobSpec
from sluice_api.status import IngestionJobStatus
from sluice_operator.autoscaler import Ceiling
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


class Role(StrEnum):
    """The components of a job whose pods follow a lag."""

    FETCHER = "fetcher"
    WRITER = "writer"
    ARCHIVER = "archiver"


VERBS: Final = {Role.FETCHER: "fetch", Role.WRITER: "write", Role.ARCHIVER: "archive"}
"""What each does: its command, and the end of its consumer group's name."""


def roles(spec: IngestionJobSpec) -> tuple[Role, ...]:
    """Return the roles that a job has: a replay fetches nothing, an archive is asked for."""
    found = () if spec.source.archive else (Role.FETCHER,)
    return (*found, Role.WRITER, *((Role.ARCHIVER,) if spec.sink.archive else ()))


class Progress(Enum):
    """How far a Kubernetes Job is."""

    ABSENT = "absent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """A Kubernetes Job of ours: the migration, the seed or the redrive."""

    progress: Progress = Progress.ABSENT
    run: str | None = None
    """The run it was made for."""
    digest: str | None = None
    """The digest of the settings it was made with."""
    at_work: bool = False
    """Whether a pod of it runs."""
    message: str = ""
    """What its pod last said."""
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
    archived: TopicOffsets | None = None
    """The records topic as the archivers' group has consumed it."""
    migrate: Task = Task()
    seed: Task = Task()
    redrive: Task = Task()
    fetcher: Workers = Workers()
    writer: Workers = Workers()
    archiver: Workers = Workers()
    room: Ceiling | None = None
    """The writers that the sink's database has connections for."""
    failed: int | None = None
    nodes: tuple[NodeSize, ...] = ()
    existing: dict[str, Object] = field(default_factory=dict)
    """Objects of the job by ``Kind/name``."""

    def workers(self, role: Role) -> Workers:
        """The pods of a role."""
        found = {Role.FETCHER: self.fetcher, Role.WRITER: self.writer}
        return found.get(role, self.archiver)

    def readers(self, spec: IngestionJobSpec) -> tuple[TopicOffsets | None, ...]:
        """The records topic as each group sees it that must drain it."""
        return tuple(self.offsets(role) for role in roles(spec) if role is not Role.FETCHER)

    def offsets(self, role: Role) -> TopicOffsets | None:
        """The topic that a role consumes."""
        found = {Role.FETCHER: self.items, Role.WRITER: self.records}
        return found.get(role, self.archived)
