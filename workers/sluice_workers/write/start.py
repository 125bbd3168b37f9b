"""Where the writing of a partition starts, and what must not be passed over in silence. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a partition the topic holds."""

    first: int
    """The offset of the oldest record."""
    end: int
    """The offset after the newest."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to go on."""

    offset: int
    note: str | None = None
    """What people should know."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a partition is not written: somebody must decide."""

    reason: str
    message: str


def start(place: str, known: int | None, extent: Extent, group: int | None) -> Start | Gap:
    """Decide where the writing of a partition starts.

    ``known`` is the next offset that the database has, ``group`` the one that the group in Kafka
    has, which follows the database's; both None where there is none. ``place`` names the partition.
    """
    if known is None:
        return _unknown(place, extent, group)
    if known < extent.first:
        return Gap(
            "OffsetOutOfRange",
            f"{place}: the next record to write is {known}, the oldest in the topic is"
            f" {extent.first}: the records between them are gone. To go on without them, set"
            f" next_offset to {extent.first} in sluice.offsets",
        )
    if known > extent.end:
        return Gap(
            "OffsetAheadOfTopic",
            f"{place}: the next record to write is {known}, but the topic ends at {extent.end}: it"
            " was truncated or made anew. To write what it holds now, set next_offset to"
            f" {extent.first} in sluice.offsets",
        )
    return Start(known)


def _unknown(place: str, extent: Extent, group: int | None) -> Start | Gap:
    if extent.first > 0:
        return Gap(
            "OffsetsLost",
            f"{place}: the database has no offset, and the topic's records before {extent.first}"
            " are gone: restore the table sluice.offsets, or insert the offset to go on from",
        )
    if group:
        return Start(
            0,
            f"{place}: the database has no offset though the group has come to {group}: all records"
            " are written again, which changes no row that is newer",
        )
    return Start(0)
