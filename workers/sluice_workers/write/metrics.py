"""The writer's metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SIZES: Final = (1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

ROWS: Final = Counter("sluice_write_rows_total", "Rows written to the target table.")
RECORDS: Final = Counter("sluice_write_records_total", "Records whose offsets were committed.")
BYTES: Final = Counter("sluice_write_bytes_total", "Bytes of those records.")
REJECTED: Final = Counter("sluice_write_rejected_total", "Records that went to the dead topic.")
BATCHES: Final = Counter(
    "sluice_write_batches_total", "Batches committed, by why they were due.", ["trigger"]
)
WAYS: Final = Counter(
    "sluice_write_ways_total",
    "Batches committed, by how: inserted, merged, or searched for a refused record.",
    ["way"],
)
RETRIES: Final = Counter(
    "sluice_write_retries_total", "Transactions repeated after a deadlock or the like."
)
FAILURES: Final = Counter(
    "sluice_write_failures_total", "Transactions given up, by what was wrong.", ["reason"]
)
FENCED: Final = Counter("sluice_write_fenced_total", "Transactions refused to a former owner.")
REBALANCES: Final = Counter("sluice_write_rebalances_total", "Assignments of partitions.")
BATCH_SIZE: Final = Histogram(
    "sluice_write_batch_records", "Records of a committed batch.", buckets=_SIZES
)
BATCH_AGE: Final = Histogram(
    "sluice_write_batch_age_seconds",
    "How long a batch's first record had waited when its transaction began.",
    buckets=_SECONDS,
)
TRANSACTION: Final = Histogram(
    "sluice_write_transaction_seconds",
    "Time of a transaction, from its first row to COMMIT's answer.",
    buckets=_SECONDS,
)
BUFFERED: Final = Gauge(
    "sluice_write_buffered_records", "Records waiting for a batch.", multiprocess_mode="livesum"
)
SIZE: Final = Gauge(
    "sluice_write_batch_size_records",
    "Records that a batch may hold just now, between minSize and maxSize.",
    multiprocess_mode="livemax",
)
LAG: Final = Gauge(
    "sluice_write_lag_records", "Records of the topic not written yet.", multiprocess_mode="livesum"
)
LAG_SECONDS: Final = Gauge(
    "sluice_write_lag_seconds",
    "Age of the newest record written, while there are others to write; else 0.",
    multiprocess_mode="livemax",
)
DURABLE_RECORDS: Final = Gauge(
    "sluice_write_durable_records",
    "Records of the job in the durable buffer.",
    multiprocess_mode="livemax",
)
DURABLE_BYTES: Final = Gauge(
    "sluice_write_durable_bytes",
    "Bytes of those records, uncompressed.",
    multiprocess_mode="livemax",
)
DURABLE_AGE: Final = Gauge(
    "sluice_write_durable_age_seconds",
    "How long the oldest of them has been there.",
    multiprocess_mode="livemax",
)
MERGES: Final = Counter(
    "sluice_write_merges_total",
    "Merges from the durable buffer, by how they ended: committed, failed, or taken by another.",
    ["end"],
)
