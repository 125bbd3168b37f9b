"""Items that succeeded, until dead topic and failed set know of it."""

from sluice_workers.failures import Failures
from sluice_workers.fetch.item import Item


class Recoveries:
    """The newest success of each key since the last commit."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._versions: dict[str, int] = {}

    def note(self, item: Item) -> None:
        """Note that an item was fetched."""
        self._note(item.text_key, item.version)

    async def tell(self) -> None:
        """Take what succeeded out of the failed set: no offset passes before.

        Raises ``DependencyError``; then all of it is told at the next call.
        """
        taken, self._versions = self._versions, {}
        try:
            await self._failures.take_out(taken)
        except BaseException:
            # Also when it is broken off, as by the pod's end: the last offsets are committed after.
            for key, version in taken.items():
                self._note(key, version)
            raise

    def _note(self, key: str, version: int) -> None:
        self._versions[key] = max(version, self._versions.get(key, version))
