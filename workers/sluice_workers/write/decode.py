"""From JSON right to the values of columns: no dictionary is made for a record.

That is for columns that each show another member of the records, or what their messages tell. What
no column shows is read over: it must be JSON, but its numbers need not fit a double.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from sluice_api.sink import Column
from sluice_workers.write.columns import Bulk, Values, plain
from sluice_workers.write.find import finder, member
from sluice_workers.write.message import Messages

Decode = Callable[[Messages], list[Values]]
"""Return the values of each column. Raises one of ``UNFIT`` when one of them does not fit."""
_UNNAMEABLE: Final = frozenset('"\\')
"""What msgspec refuses in the name of a member, beside control characters."""


def decoder(
    columns: Mapping[str, Column], bulks: Mapping[str, Bulk], required: Collection[str]
) -> Decode | None:
    """Return what decodes the values of columns; None where it takes the whole record.

    ``bulks`` convert what msgspec does not know; ``required`` are the columns without null.
    """
    members = {name: member(name, column) for name, column in columns.items()}
    shown = {name: found for name, found in members.items() if found is not None}
    told = {name: finder(name, column) for name, column in columns.items() if column.metadata}
    if len(shown) + len(told) < len(columns) or not _distinct(shown.values()):
        return None
    decode = msgspec.json.Decoder(_record(columns, shown, required)).decode
    finishes = {
        name: found.finish if (found := plain(columns[name].type.parts)) else bulks[name]
        for name in shown
    }

    def values(messages: Messages) -> list[Values]:
        texts = [message.value or b"" for message in messages]
        if not all(map(bytes.isascii, texts)):
            for text in texts:
                text.decode()  # msgspec looks at what it does not read over only
        rows = [astuple(decode(text)) for text in texts]
        found: dict[str, Values] = dict(zip(shown, zip(*rows, strict=True), strict=True))
        for name, finish in finishes.items():
            found[name] = finish(found[name])
        for name, find in told.items():
            found[name] = bulks[name]([find(None, message) for message in messages])
        return [found[name] for name in columns]

    return values


def _distinct(members: Collection[str]) -> bool:
    """Whether a type can have a field for each of these members."""
    return len(set(members)) == len(members) and not any(
        _UNNAMEABLE.intersection(each) or not each.isprintable() for each in members
    )


def _record(
    columns: Mapping[str, Column], shown: Mapping[str, str], required: Collection[str]
) -> type[msgspec.Struct]:
    """Make the type of a record: what is a column, and no more."""
    fields: list[Any] = []
    for place, name in enumerate(shown):
        found = plain(columns[name].type.parts)
        kind = Any if found is None else found.kind
        fields.append((f"c{place}", kind) if name in required else (f"c{place}", kind | None, None))
    names = {f"c{place}": shown[name] for place, name in enumerate(shown)}
    return msgspec.defstruct("Record", fields, rename=names, kw_only=True, gc=False)
