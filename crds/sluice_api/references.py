"""References to Secrets of the job's namespace."""

from pydantic import Field

from sluice_api.model import Model


class SecretReference(Model):
    """A Secret of the job's namespace, all its keys."""

    name: str = Field(min_length=1, max_length=253)
    """The Secret's name."""


class SecretKeyReference(SecretReference):
    """One key of a Secret of the job's namespace."""

    key: str = Field(default="uri", min_length=1, max_length=253)
    """The key in its data."""
