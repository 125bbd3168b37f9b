"""A pod of fetchers that are static members of their group: NAME in SLUICE_BENCHMARK_MEMBER.

What ``make bench-rebalance`` compares with the members that fetchers are.
"""

import os
from pathlib import Path
from typing import Any, Final

import click

from sluice_workers import kafka
from sluice_workers.fetch import fetcher
from sluice_workers.runtime import ProcessContext, supervise
from sluice_workers.settings import FetcherSettings

MEMBER: Final = "SLUICE_BENCHMARK_MEMBER"
_dynamic = kafka.consumer


async def run(context: ProcessContext) -> None:
    """Run a fetcher whose member keeps its name over restarts."""

    def static(*arguments: Any, **options: Any) -> Any:
        made = _dynamic(*arguments, **options)
        made._group_instance_id = f"{os.environ[MEMBER]}-{context.index}"  # noqa: SLF001
        return made

    kafka.consumer = static
    await fetcher.run(context)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True)
@click.option("--port", type=int, required=True)
def main(folder: Path, port: int) -> None:
    """Run the pod."""
    settings = FetcherSettings.read(folder, "fetcher")
    target = "sluice_benchmarks.static_pod:run"
    raise SystemExit(supervise("fetcher", settings.processes, target, folder, port=port))


if __name__ == "__main__":
    main()
