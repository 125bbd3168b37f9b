"""Whose an object is that has the name of one of a job's."""

from typing import Any

import pytest

from operator_examples import job
from sluice_api.names import JOB_LABEL
from sluice_operator.plan import foreign, left_over


def found(label: str | None = None, *owners: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "users-connections"}
    if label:
        metadata["labels"] = {JOB_LABEL: label}
    if owners:
        metadata["ownerReferences"] = [{"uid": owner} for owner in owners]
    return {"metadata": metadata}


UID = job().uid


@pytest.mark.parametrize(
    ("thing", "is_foreign", "is_left_over"),
    [
        (found(), True, False),
        (found(None, "another"), True, True),
        (found("others"), True, False),
        (found("users", UID), False, False),
        (found("users"), False, False),
        (found(None, UID), False, False),
        (found("users", "earlier"), False, True),
    ],
)
def test_whose_it_is(thing: dict[str, Any], is_foreign: bool, is_left_over: bool) -> None:
    assert (foreign(job(), thing), left_over(job(), thing)) == (is_foreign, is_left_over)
