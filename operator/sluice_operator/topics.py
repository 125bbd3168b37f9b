"""The topics of a job: which to create, and the generation of each. A pure function.

A generation is minted, and kept in the status, before its topic is created. A crash in between
leaves a generation without a topic; the next look mints a newer one, and nothing was written under
the first.
"""

from dataclasses import dataclass
from datetime import datetime

from sluice_api.status import TopicsStatus, TopicStatus
from sluice_operator.observed import Job
from sluice_workers.state import Trouble
from sluice_workers.wire import GENERATION_EPOCH


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """The topics as they shall be."""

    status: TopicsStatus
    create: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def plan(job: Job, existing: dict[str, int], now: datetime) -> TopicPlan:
    """Plan a job's topics from those that exist, by name, with their partitions."""
    external = job.spec.source.items_topic
    known = job.status.topics
    found: dict[str, TopicStatus | None] = {}
    create, troubles = [], []
    for suffix in ("items", "records", "dead"):
        before: TopicStatus | None = getattr(known, suffix)
        given = external if suffix == "items" else None
        name = given or job.name.topic(suffix)
        found[suffix] = before
        if name not in existing:
            if given:
                troubles.append(_absent(name))
                continue
            found[suffix] = _minted(name, before, now)
            create.append(name)
        elif before is None and given:
            found[suffix] = _minted(name, None, now)
        elif before is None:
            troubles.append(_foreign(name))
        elif not given and existing[name] != job.spec.topics.partitions:
            troubles.append(_mismatch(name, existing[name], job.spec.topics.partitions))
    return TopicPlan(TopicsStatus(**found), tuple(create), tuple(troubles))


def _minted(name: str, before: TopicStatus | None, now: datetime) -> TopicStatus:
    seconds = int(now.timestamp()) - GENERATION_EPOCH
    return TopicStatus(name=name, generation=max(seconds, before.generation + 1 if before else 0))


def _absent(name: str) -> Trouble:
    message = f"topic {name}, named by spec.source.items.topic, does not exist: create it"
    return Trouble(reason="TopicNotFound", message=message)


def _foreign(name: str) -> Trouble:
    message = (
        f"topic {name} exists and is not this job's: delete it, or give the job another name"
        " (an earlier job of this name may have left it: deletionPolicy Retain)"
    )
    return Trouble(reason="TopicExists", message=message)


def _mismatch(name: str, found: int, wanted: int) -> Trouble:
    message = (
        f"topic {name} has {found} partitions, spec.topics.partitions says {wanted}:"
        " somebody changed the topic; create another job"
    )
    return Trouble(reason="TopicMismatch", message=message)
