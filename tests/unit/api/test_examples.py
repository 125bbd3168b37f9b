"""The examples are jobs that the models take."""

from pathlib import Path

import pytest
import yaml

from sluice_api.spec import IngestionJobSpec

EXAMPLES = Path(__file__).parents[3] / "examples"
JOBS = [
    (str(path.relative_to(EXAMPLES)), document)
    for path in sorted(EXAMPLES.rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "IngestionJob"
]


@pytest.mark.parametrize("document", [job[1] for job in JOBS], ids=[job[0] for job in JOBS])
def test_an_example_is_a_job(document: dict[str, object]) -> None:
    IngestionJobSpec.model_validate(document["spec"])


def test_there_are_examples() -> None:
    assert len(JOBS) >= 3
