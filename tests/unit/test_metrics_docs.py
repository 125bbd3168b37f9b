"""docs/metrics.md: its table names every metric of the code, and nothing else."""

import re
from collections.abc import Iterator
from types import ModuleType

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from sluice_dev.paths import PROJECT
from sluice_operator.metrics import _families
from sluice_workers.archive import metrics as archive
from sluice_workers.fetch import metrics as fetch
from sluice_workers.runtime.health import Sighting
from sluice_workers.runtime.metrics import _Children
from sluice_workers.state import ProcessState
from sluice_workers.write import metrics as write

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
Row = tuple[str, str, str, str]


def row(metric: Metric, labels: list[str]) -> Row:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return name, metric.type, ", ".join(f"`{label}`" for label in labels), metric.documentation


def of_workers(module: ModuleType) -> Iterator[Row]:
    for found in vars(module).values():
        if isinstance(found, MetricWrapperBase):
            (metric,) = found.describe()
            yield row(metric, list(found._labelnames))  # noqa: SLF001  told nowhere else


def of_pods() -> Iterator[Row]:
    for metric in _Children(lambda: [Sighting(ProcessState(process=0), None)]).collect():
        yield row(metric, list(metric.samples[0].labels))


def of_jobs() -> Iterator[Row]:
    for family in _families().values():
        yield row(family, list(family._labelnames))  # noqa: SLF001


def test_the_table_is_that_of_the_code() -> None:
    told = ROW.findall((PROJECT / "docs" / "metrics.md").read_text())
    code = [each for module in (fetch, write, archive) for each in of_workers(module)]
    assert told == [*code, *of_pods(), *of_jobs()]
