"""What a person and a program read of a run."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from chaos.faults import Fault
from chaos.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run shows, of whatever target."""

    faults: Sequence[Fault]
    recovery: Mapping[Fault, float]
    """For how many seconds each fault was felt."""
    verdict: Verdict
    work: str
    """What was done meanwhile, for a person."""
    drained: float
    """Seconds from the last healing to the end of the topics, or what was waited for it."""


SHOWN: Final = 12
"""Sentences of each kind of violation that are shown."""


def show_faults(faults: Sequence[Fault], recovery: Mapping[Fault, float]) -> None:
    """Print the faults by kind, and how long each was felt after its healing."""
    table = Table(title="Faults, and the seconds from healing until all that waited was done")
    for title in ("target", "fault"):
        table.add_column(title)
    for title in ("faults", "median", "longest"):
        table.add_column(title, justify="right")
    groups: defaultdict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        what = f"{fault.kind}, {_role(fault.peer)}" if fault.peer else str(fault.kind)
        groups[_role(fault.target), what].append(fault)
    for (target, what), found in sorted(groups.items()):
        felt = [recovery[fault] for fault in found if fault in recovery]
        figures = [f"{statistics.median(felt):.1f}", f"{max(felt):.1f}"] if felt else ["never"] * 2
        table.add_row(target, what, str(len(found)), *figures)
    Console(width=100).print(table)


def _role(name: str | None) -> str:
    """Pods are one kind of target."""
    return "pod" if name and name.rpartition("-")[2].isdigit() else name or ""


def show_work(work: str, drained: float) -> None:
    """Print what was done meanwhile: a schedule that leaves no time for work proves nothing."""
    click.echo(f"{work}; {drained:.1f} s from the last healing to the end of the topics")


def show_verdict(verdict: Verdict) -> None:
    """Print what is wrong."""
    for name, sentences in verdict.by_name().items():
        for sentence in sentences[:SHOWN]:
            click.echo(f"{name}: {sentence}")
        if len(sentences) > SHOWN:
            click.echo(f"{name}: … {len(sentences) - SHOWN} more")


def line(target: str, seed: int, faults: int, verdict: Verdict) -> str:
    """Return the closing line."""
    counts = {name: len(sentences) for name, sentences in verdict.by_name().items()}
    return json.dumps(
        {"bench": "chaos", "target": target, "faults": faults, "seed": seed, **counts}
    )
