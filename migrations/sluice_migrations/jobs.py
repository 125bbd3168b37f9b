"""The sinks of jobs in files: what a person's own revisions are compared with."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from sluice_api import names
from sluice_api.errors import ConfigurationError
from sluice_api.model import describe
from sluice_api.sink import PostgresSink


def sinks(patterns: Sequence[str]) -> list[PostgresSink]:
    """Return the Postgres sinks of all jobs in the YAML files that the patterns match.

    Raises ``ConfigurationError`` that names the file, the job and every wrong field, or a pattern
    that matches nothing.
    """
    found: list[PostgresSink] = []
    for pattern in patterns:
        paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns are absolute
        if not paths:
            raise ConfigurationError(f"no file matches {pattern}, where Alembic's jobs should be")
        for path in paths:
            found += _read(Path(path))
    return found


def _read(path: Path) -> Iterator[PostgresSink]:
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != names.KIND:
            continue
        try:
            yield PostgresSink.model_validate(document["spec"]["sink"]["postgres"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}: a job lacks spec.sink.postgres") from error
        except ValidationError as error:
            raise ConfigurationError(f"{path}: spec.sink.postgres: {describe(error)}") from error
