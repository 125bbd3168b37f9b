"""What is wrong, of whatever target."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Verdict:
    """Each field is a kind of violation: a sentence for each case; nothing, when all holds."""

    def by_name(self) -> dict[str, list[str]]:
        """Return the sentences by what is violated."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.by_name().values())
