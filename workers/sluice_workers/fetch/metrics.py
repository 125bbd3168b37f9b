"""The fetcher's metrics."""

from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ATTEMPTS: Final = Counter("sluice_fetch_attempts_total", "Requests by outcome.", ["outcome"])
RESPONSES: Final = Counter(
    "sluice_fetch_responses_total", "Answers of the API to spec.source.http by status.", ["status"]
)
ITEMS: Final = Counter("sluice_fetch_items_total", "Items done, by how.", ["outcome"])
RECORDS: Final = Counter("sluice_fetch_records_total", "Records acknowledged by the broker.")
RETRIES: Final = Counter("sluice_fetch_retries_total", "Items put back to be tried again.")
COMMITS: Final = Counter("sluice_fetch_commits_total", "Commits of the group's offsets.")
REBALANCES: Final = Counter("sluice_fetch_rebalances_total", "Assignments of partitions.")
PAGES: Final = Counter("sluice_fetch_pages_total", "Answers of an item beyond its first page.")
TOKEN_REQUESTS: Final = Counter(
    "sluice_fetch_token_requests_total", "Requests for a token by outcome.", ["outcome"]
)
IN_FLIGHT: Final = Gauge(
    "sluice_fetch_requests_in_flight", "Requests in flight.", multiprocess_mode="livesum"
)
WINDOW: Final = Gauge(
    "sluice_fetch_window_items", "Items taken and not committed.", multiprocess_mode="livesum"
)
WINDOW_BYTES: Final = Gauge(
    "sluice_fetch_window_bytes",
    "Bytes of the items in the window that are not done.",
    multiprocess_mode="livesum",
)
WINDOW_FULL: Final = Gauge(
    "sluice_fetch_window_full_partitions",
    "Partitions of which no more is read until an item is done.",
    multiprocess_mode="livesum",
)
LAG: Final = Gauge(
    "sluice_fetch_lag_items",
    "Items of the topic whose offsets are not committed yet.",
    multiprocess_mode="livesum",
)
TOKEN_WAIT: Final = Histogram(
    "sluice_fetch_rate_limit_wait_seconds",
    "How long a request waited for a token of the rate limit.",
    buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300),
)
PROXY_REQUESTS: Final = Counter(
    "sluice_fetch_proxy_requests_total", "Requests by proxy and outcome.", ["proxy", "outcome"]
)
PROXY_CONNECTIONS: Final = Gauge(
    "sluice_fetch_proxy_connections",
    "Connections open, idle ones included.",
    ["proxy"],
    multiprocess_mode="livesum",
)
PROXY_RESTING: Final = Gauge(
    "sluice_fetch_proxy_resting",
    "Processes that let the proxy rest.",
    ["proxy"],
    multiprocess_mode="livesum",
)
PROXY_LATENCY: Final = Histogram(
    "sluice_fetch_proxy_attempt_seconds",
    "Time of an attempt through a proxy.",
    ["proxy"],
    buckets=(0.1, 0.5, 1, 5, 30),
)
LATENCY: Final = Histogram(
    "sluice_fetch_attempt_seconds",
    "Time of an attempt, from its start to the last byte.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


@cache
def counted(counter: Counter, label: str | int) -> Counter:
    """Return what counts one label; to look it up costs as much as to count."""
    return counter.labels(str(label))
