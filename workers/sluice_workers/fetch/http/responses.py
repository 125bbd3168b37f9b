"""What an answer means for its item, by the job's rules; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from sluice_api.http import Action, ResponseRule
from sluice_workers.fetch.http.jsonpath import Path


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer means, and why."""

    action: Action | None
    """None: a status that is no success and that no rule names; whether it passes is the retry's
    affair."""
    why: str = ""
    """The rule that says so, and what it found, for messages; may be long, and hold secrets."""


_SUCCESS = Meaning(Action.SUCCESS)
_EMPTY = Meaning(Action.IGNORE)
_STALE = Meaning(Action.REFRESH_TOKEN)
_BY_STATUS = Meaning(None)


class Responses:
    """The rules of a job, in their order, and what holds without one."""

    def __init__(self, rules: Sequence[ResponseRule], *, authenticated: bool) -> None:
        """Compile the paths. Raises ``ConfigurationError``."""
        self._authenticated = authenticated
        self._rules = [
            (rule, Path(rule.path, f"source.http.responses[{index}].path") if rule.path else None)
            for index, rule in enumerate(rules)
        ]
        self._only_by_status = not any(path for _, path in self._rules)
        self._known: dict[int, Meaning] = {}

    def by_status(self, status: int) -> Meaning | None:
        """Return what an answer means whatever its body says; None where a rule looks into that."""
        if not self._only_by_status:
            return None
        found = self._known.get(status)
        if found is None:
            found = self._known[status] = self.meaning(status, None)
        return found

    def meaning(self, status: int, document: object) -> Meaning:
        """Return what an answer means. Raises ``MalformedAnswerError``: a path does not apply."""
        for index, (rule, path) in enumerate(self._rules):
            if rule.statuses and status not in rule.statuses:
                continue
            if path is None:
                return Meaning(rule.action, f"by responses[{index}]")
            found = [value for value in path.all(document) if _fits(rule, value)]
            if found:
                return Meaning(rule.action, f"by responses[{index}]: {_text(found[0])}")
        if status == HTTPStatus.NO_CONTENT:
            return _EMPTY
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return _SUCCESS
        if status == HTTPStatus.UNAUTHORIZED and self._authenticated:
            return _STALE
        return _BY_STATUS


def _fits(rule: ResponseRule, value: object) -> bool:
    return bool(value) if rule.value is None else rule.value == _text(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return ""
