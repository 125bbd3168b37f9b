"""Where items come from, and how one item becomes records."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from sluice_api.archive import ArchiveSource
from sluice_api.duration import Duration, Span
from sluice_api.http import Http
from sluice_api.model import Model, exactly_one, rule, rules
from sluice_api.references import SecretKeyReference, SecretReference


class ConfigMapItems(Model):
    """Items listed in a ConfigMap of the job's namespace, one a line."""

    name: str = Field(min_length=1, max_length=253)
    """The ConfigMap's name."""
    key: str = Field(default="items", min_length=1, max_length=253)
    """The key in its data that holds the items, one a line; empty lines are passed over."""


class TopicItems(Model):
    """Items that somebody else writes to a topic; the message key is the item key."""

    name: str = Field(min_length=1, max_length=249)
    """The topic's name. It must exist; the job neither creates nor deletes it."""


class PostgresItems(Model):
    """Items that a query returns.

    The first column is the item key; every column is an attribute that the URL may name.
    """

    secret_ref: SecretKeyReference
    """The Secret that holds the connection URI."""
    query: str = Field(min_length=1, max_length=16384)
    """A single SELECT statement, read through a server-side cursor."""


class Items(Model):
    """The items of a job: exactly one of values, configMap, topic and postgres."""

    model_config = ConfigDict(
        json_schema_extra=rules(exactly_one("values", "configMap", "topic", "postgres"))
    )

    values: tuple[str, ...] | None = Field(
        default=None, min_length=1, max_length=1000, json_schema_extra={"itemMaxLength": 1024}
    )
    """The item keys themselves, for small lists."""
    config_map: ConfigMapItems | None = None
    topic: TopicItems | None = None
    postgres: PostgresItems | None = None


class Backoff(Model):
    """Exponential backoff with full jitter.

    Each wait is uniform between zero and initial x 2^(attempt - 1), at most max.
    """

    initial: Duration = Duration("500ms")
    """The bound of the first wait."""
    max: Duration = Duration("60s")
    """The bound of every wait, Retry-After included."""


class Retry(Model):
    """When a failed item is tried again, alone."""

    attempts: int = Field(default=5, ge=1, le=100)
    """How often an item is requested before it is given up."""
    backoff: Backoff = Backoff()
    """How long an item waits between two attempts."""
    statuses: tuple[int, ...] = Field(default=(408, 425, 429, 500, 502, 503, 504), max_length=64)
    """HTTP statuses that are tried again; other errors of the client (4xx) are given up at once.
    429 (Too Many Requests) is always tried again, unless a rule of responses says otherwise."""
    deadline: Span = Span("10m")
    """How long an item may take: its attempts and the waits between them. What it waits for the
    rate limit, or because the API is down, does not count."""


class Adaptive(Model):
    """How the budget follows an API that answers 429 (Too Many Requests).

    Each second with such an answer takes 30% of the rate away; from there it grows evenly. Items so
    answered are asked for again without counting an attempt.
    """

    floor: int = Field(default=10, ge=1, le=100)
    """The least share of the rate, in percent; 100 never lowers it."""
    recovery: Span = Span("60s")
    """How long the rate takes to grow from nothing to the whole."""


class RateLimit(Model):
    """One budget of requests for every process of every pod of the job."""

    requests: int = Field(ge=1, le=10_000_000)
    """How many requests may start in each period."""
    per: Span = Span("1s")
    """The period."""
    burst: int = Field(default=1, ge=1, le=1_000_000)
    """How many requests may start beyond the even pace: half of them at once after a pause, the
    other half where some start late."""
    adaptive: Adaptive = Adaptive()
    """What happens when the API answers 429 (Too Many Requests) all the same."""
    shared: str | None = Field(default=None, min_length=1, max_length=63)
    """Jobs of the same Redis that give the same name here share one budget."""


class Pause(Model):
    """How long a job holds back while its API is down."""

    initial: Duration = Duration("1s")
    """The first pause; each that follows is twice as long."""
    max: Duration = Duration("30s")
    """The longest pause."""


class CircuitBreaker(Model):
    """When an origin of the API counts as down: then it is tried once each pause, until it answers.

    Items that need other origins go on meanwhile. Time-outs, broken connections and the statuses
    500, 502, 503 and 504 count as failures. Items whose requests were under way, and the time of
    the pauses, are not held against their retries.
    """

    failures: int = Field(default=20, ge=1, le=1_000_000)
    """How many requests of a process to one origin must fail in a row, with no other answer of it
    between them."""
    pause: Pause = Pause()
    """How long the job holds back between two tries."""


class Sticky(StrEnum):
    """Whether an item has a proxy of its own."""

    NONE = "None"
    KEY = "Key"


class ProxyListReference(SecretReference):
    """One key of a Secret, a proxy a line."""

    key: str = Field(default="proxies", min_length=1, max_length=253)
    """The key in its data: URLs (http, https, socks5), one a line, with credentials if need be. A
    changed list is followed without a restart."""


class Proxies(Model):
    """Proxies that requests go through."""

    secret_ref: ProxyListReference
    """The Secret that holds the list."""
    max_connections_per_proxy: int = Field(default=10, ge=1, le=10_000)
    """Connections that all pods together keep open to one proxy at the most, idle ones included."""
    sticky: Sticky = Sticky.NONE
    """Key sends all requests of an item key through one proxy, as long as that works."""
    circuit_breaker: CircuitBreaker = CircuitBreaker(
        failures=5, pause=Pause(initial=Duration("10s"), max=Duration("5m"))
    )
    """When a proxy rests, for each process by itself: a proxy's own failures count, broken
    connections and time-outs."""
    shared: str | None = Field(default=None, min_length=1, max_length=63)
    """Jobs of the same Redis that give the same name here share the bounds of connections."""


class Handler(Model):
    """A coroutine of your own, in the image that fetcher.image names, called once per item."""

    function: str = Field(
        min_length=3,
        max_length=256,
        json_schema_extra=rules(
            rule(
                "self.matches('^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$')",
                "'must be module:function, found \"' + self + '\"'",
            )
        ),
    )
    """The asynchronous function, as module:function."""
    timeout: Span = Span("60s")
    """How long one call may take."""
    max_item_bytes: int = Field(default=16 << 20, ge=1024, le=256 << 20)
    """Items whose records are longer than this are given up; each counts for 256 bytes more."""
    parameters: dict[str, Annotated[str, Field(max_length=4096)]] = Field(
        default_factory=dict, max_length=64
    )
    """Values that the function finds in its context."""
    secret_ref: SecretReference | None = None
    """A Secret whose data the function finds in its context."""


class Source(Model):
    """Where items come from, and how each becomes records."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.archive) || has(self.http) != has(self.handler)",
                "has(self.http) ? 'exactly one of http and handler must be given, found both'"
                " : 'exactly one of http and handler must be given, found neither'",
            ),
            rule(
                "has(self.archive) || has(self.items)",
                "'must be given, with http or handler; or archive instead of them'",
                field=".items",
            ),
            rule(
                "!has(self.archive) || !(has(self.items) || has(self.http) || has(self.handler))",
                "'excludes items, http and handler: a replay asks no API'",
                field=".archive",
            ),
            rule(
                "has(self.archive) == has(oldSelf.archive)",
                "'archive cannot be added or removed after creation: create another job'",
            ),
        )
    )

    items: Items | None = Field(
        default=None,
        json_schema_extra=rules(
            rule(
                "self == oldSelf",
                "'the items of a job cannot change after creation: create another job'",
            )
        ),
    )
    """The list of items."""
    archive: ArchiveSource | None = Field(
        default=None,
        json_schema_extra=rules(
            rule(
                "self == oldSelf",
                "'what a job replays cannot change after creation: create another job'",
            )
        ),
    )
    """Records to replay from an archive, instead of items and an API."""
    http: Http | None = None
    """The API that is asked for each item."""
    handler: Handler | None = None
    """Your own code that is called for each item, instead of http."""
    proxies: Proxies | None = None
    """Proxies that requests go through; without them pods connect to the API themselves."""
    max_connections: int | None = Field(default=None, ge=1, le=1_000_000)
    """Connections, through proxies or not, that all pods together keep open at the most."""
    retry: Retry = Retry()
    """What happens when a request fails."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """When the job holds back because its API is down."""
    rate_limit: RateLimit | None = None
    """The budget of requests; without one, concurrency alone bounds them."""

    @property
    def items_topic(self) -> str | None:
        """The name of the topic that others fill with items, if there is one."""
        return self.items.topic.name if self.items and self.items.topic else None


class Mode(StrEnum):
    """Whether a job ends."""

    CONTINUOUS = "Continuous"
    ONCE = "Once"
