"""What a pod says about itself at ``/state``, for the operator."""

from sluice_api.model import Model


class Trouble(Model):
    """Why a process cannot do its work just now."""

    reason: str
    """A CamelCase word for a condition, such as DatabaseUnreachable."""
    message: str
    """A sentence with the next step."""


class ProcessState(Model):
    """One process of a pod."""

    process: int
    """Its number in the pod, from 0."""
    ready: bool = False
    """Whether it holds its connections and has joined its group."""
    trouble: Trouble | None = None
    """What stops it, if anything does."""
    assigned: tuple[int, ...] = ()
    """The partitions it consumes."""
    in_flight: int = 0
    """Requests in flight (fetcher) or records buffered (writer, archiver)."""
    done: int = 0
    """Items fetched (fetcher) or records committed (writer, archiver) since its start."""
    failed: int = 0
    """Items or records given up since its start."""
    rate: float = 0.0
    """Done per second, over about the last half minute."""
    latency: float | None = None
    """Mean seconds of an attempt (fetcher), a transaction (writer) or an object (archiver), over
    the same time."""
    message_bytes: float | None = None
    """Mean bytes of a record produced (fetcher) or consumed (writer, archiver)."""
    restarts: int = 0
    """How often the pod has started it again."""


class PodState(Model):
    """A pod, all its processes."""

    role: str
    """fetcher, writer or archiver."""
    processes: tuple[ProcessState, ...]


class RedriveReport(Model):
    """The last words of a redrive's pod."""

    id: str
    """The redrive's id."""
    items: int
    """Items that were put back, or would be by a dry run."""
    gone: int
    """Items of which neither the dead topic nor the items topic holds enough."""
