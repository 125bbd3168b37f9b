"""The archiver's metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECORDS: Final = Counter("sluice_archive_records_total", "Records in objects that were put.")
OBJECTS: Final = Counter(
    "sluice_archive_objects_total", "Objects whose offsets were committed, by why.", ["trigger"]
)
ADOPTED: Final = Counter(
    "sluice_archive_adopted_total", "Objects that were there already and were taken as they are."
)
BYTES: Final = Counter("sluice_archive_bytes_total", "Bytes before and after compression.", ["of"])
REBALANCES: Final = Counter("sluice_archive_rebalances_total", "Assignments of partitions.")
HELD: Final = Gauge(
    "sluice_archive_held_bytes",
    "Bytes of lines waiting for their object.",
    multiprocess_mode="livesum",
)
LAG: Final = Gauge(
    "sluice_archive_lag_records",
    "Records of the topic not archived yet.",
    multiprocess_mode="livesum",
)
LAG_SECONDS: Final = Gauge(
    "sluice_archive_lag_seconds",
    "Age of the newest record archived, while there are others to archive; else 0.",
    multiprocess_mode="livemax",
)
PUT: Final = Histogram(
    "sluice_archive_put_seconds",
    "Time of an object: its compression, itself and its manifest.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
