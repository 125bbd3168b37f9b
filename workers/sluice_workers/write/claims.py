"""Claiming assigned partitions: what broker and database know of each, and where to go on."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.session import Session
from sluice_workers.write.start import Extent, Gap, Start, start

_LOG: Final = logging.getLogger(__name__)

Places = Collection[TopicPartition]


@dataclass(frozen=True, slots=True)
class Claims:
    """What came of claiming partitions."""

    positions: Mapping[int, Position]
    gaps: Mapping[int, Gap]
    """Partitions that were not claimed, since records of them are gone."""


async def claim(
    consumer: AIOKafkaConsumer, session: Session, owner: Owner, places: Places
) -> Claims:
    """Claim partitions, but for those with a gap.

    Raises ``DependencyError`` and aiokafka's ``KafkaError``.
    """
    found = await look(consumer, session, owner, places)
    starts = {at: each.offset for at, each in found.items() if isinstance(each, Start)}
    gaps = {at: each for at, each in found.items() if isinstance(each, Gap)}
    for each in found.values():
        if isinstance(each, Start) and each.note:
            _LOG.warning("%s", each.note)
    positions = await session.claim(owner, starts) if starts else {}
    return Claims(positions, gaps)


async def look(
    consumer: AIOKafkaConsumer, session: Session, owner: Owner, places: Places
) -> dict[int, Start | Gap]:
    """Decide where each partition starts. Raises as :func:`claim`."""
    listed = list(places)
    firsts, ends = await asyncio.gather(
        consumer.beginning_offsets(listed), consumer.end_offsets(listed)
    )
    known = await session.known(owner, [place.partition for place in listed])
    unknown = [place for place in listed if place.partition not in known]
    groups: dict[Any, int | None] = dict(
        zip(unknown, await asyncio.gather(*map(consumer.committed, unknown)), strict=True)
    )
    return {
        place.partition: start(
            f"{place.topic}/{place.partition}",
            known.get(place.partition),
            Extent(firsts[place], ends[place]),
            groups.get(place),
        )
        for place in listed
    }
