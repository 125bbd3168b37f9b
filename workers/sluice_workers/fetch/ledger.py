"""Which offsets of a partition are done, and how far it may be committed; pure.

Offsets are taken in order and finish in any order. Only what is contiguous from the last commit
may be committed: a crash then repeats items and loses none. What lies between the first unfinished
offset and the last taken one is the window; it is bounded in items, so that one slow item holds
back a bounded number of others, and what is unfinished in it is counted in bytes.

A ledger lives for one assignment. A partition that comes back after another member had it gets a
new ledger, so that what finishes late reaches a ledger that nobody commits.
"""

from collections import deque


class Ledger:
    """The offsets of one partition during one assignment.

    ``position`` is the next offset to read; ``committed`` what the group holds for the partition,
    None when it holds nothing yet; ``done`` the offsets that an earlier owner finished.
    """

    def __init__(
        self,
        position: int,
        *,
        committed: int | None = None,
        done: frozenset[int] = frozenset(),
        max_items: int = 10_000,
    ) -> None:
        self._position = position
        self._committed = committed
        self._done = done
        self._changed = False
        self._max_items = max_items
        self._window: deque[int] = deque()
        self._bytes = 0
        self._unfinished: dict[int, int] = {}
        """The bytes of each."""

    @property
    def position(self) -> int:
        """The offset after the last taken one: where reading goes on."""
        return self._position

    @property
    def committed(self) -> int | None:
        """What the group holds for the partition, as far as this member knows."""
        return self._committed

    @property
    def committable(self) -> int:
        """The first offset that is not finished; everything before it is."""
        return self._window[0] if self._window else self._position

    @property
    def pending(self) -> int | None:
        """What should be committed now, or None when the group holds it already."""
        return self.committable if self.committable != (self._committed or 0) else None

    @property
    def changed(self) -> bool:
        """Whether anything finished since :meth:`take_ahead`, or what it returned was not kept."""
        return self._changed

    @property
    def base(self) -> int | None:
        """What notes of finished offsets count from: what the group holds, as far as is known.

        None while it holds nothing of a topic whose first offsets are passed or gone.
        """
        return 0 if self._committed is None and self.committable == 0 else self._committed

    def take_ahead(self) -> list[int]:
        """Return what is finished beyond the committed offset, to be kept for the next owner.

        Also what is not read yet and an earlier owner finished: who takes over has no other word
        of it.
        """
        self._changed = False
        self._done = frozenset(offset for offset in self._done if offset >= self._position)
        start = self.committable if self._committed is None else self._committed
        return [
            *range(start, self.committable),
            *(offset for offset in self._window if offset not in self._unfinished),
            *sorted(self._done),
        ]

    def not_kept(self) -> None:
        """Note that what :meth:`take_ahead` returned is to be kept still."""
        self._changed = True

    @property
    def span(self) -> int:
        """Items in the window: unfinished ones, and those that finished behind one of them."""
        return len(self._window)

    @property
    def bytes(self) -> int:
        """What the unfinished items hold in memory."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether no more should be taken until the first unfinished item is done."""
        return len(self._window) >= self._max_items

    def take(self, offset: int, size: int) -> bool:
        """Note an offset as being worked on; ``size`` is the bytes it holds in memory.

        Returns False when an earlier owner finished it: there is nothing to do. Raises
        ``ValueError`` when an offset comes twice or out of order.
        """
        if offset < self._position:
            raise ValueError(f"offset {offset} was taken already; next is {self._position}")
        known = offset in self._done
        self._position = offset + 1
        self._window.append(offset)
        if known:
            self._trim()
            return False
        self._unfinished[offset] = size
        self._bytes += size
        return True

    def pass_to(self, position: int) -> None:
        """Note that no message is left before ``position``: offsets of transactions' ends are none.

        Without it such an offset at the topic's end would never be committed, and count as lag.
        """
        self._position = max(self._position, position)

    def finish(self, offset: int) -> None:
        """Note an offset as done. Raises ``ValueError`` for one that is not being worked on."""
        if offset not in self._unfinished:
            raise ValueError(f"offset {offset} is not being worked on")
        self._bytes -= self._unfinished.pop(offset)
        self._changed = True
        self._trim()

    def _trim(self) -> None:
        while self._window and self._window[0] not in self._unfinished:
            self._window.popleft()

    def note_commit(self, offset: int) -> None:
        """Note what the group holds by now."""
        self._committed = offset
