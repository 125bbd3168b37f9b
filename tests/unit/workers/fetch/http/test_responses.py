"""What answers mean."""

from typing import Any

import pytest

from sluice_api.http import Action, ResponseRule
from sluice_workers.fetch.http.responses import Responses


def responses(*rules: dict[str, Any], authenticated: bool = False) -> Responses:
    parsed = [ResponseRule.model_validate(rule) for rule in rules]
    return Responses(parsed, authenticated=authenticated)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.SUCCESS),
        (206, Action.SUCCESS),
        (204, Action.IGNORE),
        (302, None),
        (401, None),
        (404, None),
        (429, None),
        (503, None),
    ],
)
def test_without_rules_the_status_decides(status: int, action: Action | None) -> None:
    found = responses()
    assert found.meaning(status, None).action is action
    assert found.by_status(status) == found.meaning(status, None)


def test_with_credentials_401_asks_for_others() -> None:
    assert responses(authenticated=True).meaning(401, None).action is Action.REFRESH_TOKEN


def test_the_first_rule_that_fits_decides() -> None:
    found = responses(
        {"statuses": [404], "path": "$.gone", "action": "Ignore"},
        {"statuses": [404, 403], "action": "Retry"},
        {"path": "$.error.code", "value": "throttled", "action": "RateLimited"},
        {"path": "$.error", "action": "Failure"},
    )
    assert found.meaning(404, {"gone": True}).action is Action.IGNORE
    assert found.meaning(404, None).action is Action.RETRY
    assert found.meaning(200, {"error": {"code": "throttled"}}).action is Action.RATE_LIMITED
    refused = found.meaning(200, {"error": {"code": "no such user"}})
    assert refused.action is Action.FAILURE
    assert refused.why == 'by responses[3]: {"code":"no such user"}'
    assert found.meaning(200, {"id": 1}).action is Action.SUCCESS
    assert found.by_status(500) is None


@pytest.mark.parametrize("empty", [None, False, 0, "", [], {}])
def test_what_is_empty_is_not_there(empty: object) -> None:
    found = responses({"path": "$.errors", "action": "Failure"})
    assert found.meaning(200, {"errors": empty}).action is Action.SUCCESS


@pytest.mark.parametrize(
    ("value", "found"),
    [("false", False), ("null", None), ("3", 3), ("3", "3"), ("x", "x"), ('["x"]', ["x"])],
)
def test_a_value_is_compared_as_text_or_json(value: str, found: object) -> None:
    rules = responses({"path": "$.ok", "value": value, "action": "Retry"})
    assert rules.meaning(200, {"ok": found}).action is Action.RETRY
    assert rules.meaning(200, {"ok": "other"}).action is Action.SUCCESS
    assert rules.meaning(200, {}).action is Action.SUCCESS
