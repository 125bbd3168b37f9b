"""What no message may tell: secrets, and parts of them; pure."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Final
from urllib.parse import quote

import orjson

PART: Final = 8
"""Characters of a secret in a row that are not told either."""
LEAST: Final = 4
"""Characters of a value that are worth hiding."""
MOST: Final = 16 << 10
"""Characters of a text that are looked at: no message is longer."""
_HIDDEN: Final = "***"


class Untold:
    """Hides secrets in text, as they are and as URLs, JSON and Python write them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._short = sorted((form for form in forms if len(form) < PART), key=len, reverse=True)
        self._parts = frozenset(part for form in forms for part in _parts(form))

    def hidden(self, text: str) -> str:
        """Return text without them, up to ``MOST`` of it; to be cut afterwards only."""
        text = text[:MOST]
        if self._parts:
            text = self._without_parts(text)
        for secret in self._short:
            text = text.replace(secret, _HIDDEN)
        return text

    def _without_parts(self, text: str) -> str:
        found = [at for at, part in enumerate(_parts(text)) if part in self._parts]
        if not found:
            return text
        kept = [text[: found[0]]]
        for before, after in pairwise(found):
            if after > before + PART:
                kept.append(text[before + PART : after])
        kept.append(text[found[-1] + PART :])
        return _HIDDEN.join(kept)


def of_values(values: Iterable[str]) -> Untold:
    """Hide a Secret's values, and what follows a scheme in those that are headers.

    What is too short to be a secret is none: else messages could not be read.
    """
    found = {part for value in values for part in (value, value.partition(" ")[2])}
    return Untold(part for part in found if len(part) >= LEAST)


def _forms(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe=""),
        orjson.dumps(secret).decode()[1:-1],
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }


def _parts(text: str) -> Iterable[str]:
    return (text[at : at + PART] for at in range(len(text) - PART + 1))
