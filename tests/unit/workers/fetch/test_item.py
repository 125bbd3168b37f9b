"""How a message becomes an item."""

import pytest

from sluice_api.errors import DependencyError
from sluice_workers import wire
from sluice_workers.fetch.item import Item, read_item
from sluice_workers.settings import Topic

TOPIC = Topic(name="ns.users.items", generation=7)


def read(key: bytes | None, *headers: tuple[str, bytes | None]) -> Item:
    return read_item(TOPIC, partition=2, offset=40, key=key, value=None, headers=headers)


def test_a_seeded_item_is_known_by_its_run_and_key() -> None:
    item = read(b"4711", (wire.RUN, b"r1"), (wire.GENERATION, b"7"))
    assert item.id == "r1/4711"
    assert item.version == wire.record_version(7, 40)
    assert item.flaw is None


def test_any_other_item_is_known_by_its_place() -> None:
    assert read(b"4711").id == "7-2-40"


@pytest.mark.parametrize("found", [b"6", b"8"])
def test_an_item_of_another_generation_is_refused(found: bytes) -> None:
    with pytest.raises(DependencyError, match="made anew") as refused:
        read(b"4711", (wire.GENERATION, found))
    assert refused.value.reason == "TopicRecreated"


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_key_that_is_no_text_is_a_flaw_and_is_kept(key: bytes | None) -> None:
    item = read(key)
    assert item.flaw
    assert item.key == (key or b"")
    item.text_key.encode()


def test_headers_of_others_are_kept_and_counted_whatever_they_hold() -> None:
    plain = read(b"4711")
    item = read(b"4711", ("trace", None), ("colour", b"\xff" * 1000), (wire.RUN, b"\xff"))
    assert item.headers == (("trace", b""), ("colour", b"\xff" * 1000))
    assert item.size >= plain.size + 1000
    assert item.id == "\\xff/4711"
