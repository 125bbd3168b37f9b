"""The writer's metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ROWS: Final = Counter("sluice_write_rows_total", "Rows merged into the target table.")
RECORDS: Final = Counter("sluice_write_records_total", "Records whose offsets were committed.")
REJECTED: Final = Counter("sluice_write_rejected_total", "Records that could not be stored.")
BATCHES: Final = Counter("sluice_write_batches_total", "Transactions committed.", ["trigger"])
FENCED: Final = Counter("sluice_write_fenced_total", "Transactions refused to a former owner.")
REBALANCES: Final = Counter("sluice_write_rebalances_total", "Assignments of partitions.")
BUFFERED: Final = Gauge(
    "sluice_write_buffered_records", "Records waiting for a batch.", multiprocess_mode="livesum"
)
TRANSACTION: Final = Histogram(
    "sluice_write_transaction_seconds",
    "Time of a transaction, from its first row to COMMIT's answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
