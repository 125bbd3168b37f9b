"""Archives of raw records in S3: where they are, who writes them, what is replayed from them."""

from datetime import datetime

from pydantic import ConfigDict, Field

from sluice_api.duration import Duration
from sluice_api.model import Model, rule, rules
from sluice_api.references import SecretReference

_SEGMENT = r"[A-Za-z0-9!_.*'()-]+"


class S3(Model):
    """A bucket of Amazon S3, or of anything that speaks its protocol."""

    bucket: str = Field(max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """The bucket. It must exist."""
    prefix: str = Field(default="", max_length=512, pattern=rf"^({_SEGMENT}(/{_SEGMENT})*)?$")
    """What all names in the bucket begin with, such as sluice/archive."""
    endpoint: str | None = Field(
        default=None,
        max_length=512,
        json_schema_extra=rules(
            rule(
                "self.matches('^https?://[^/]+/?$')",
                "'must be an http:// or https:// URL without a path, found \"' + self + '\"'",
            )
        ),
    )
    """The server's URL; Amazon's own for the region unless given."""
    region: str = Field(default="us-east-1", min_length=1, max_length=64)
    """The region that requests are signed for."""
    path_style: bool = True
    """Whether the bucket is named in the path of URLs (as most servers want) or in the host."""
    conditional_writes: bool = True
    """Whether the server knows If-None-Match and If-Match on PUT, by which a member that was only
    slow can never overwrite what its successor wrote. False for servers that answer 501 to them."""
    secret_ref: SecretReference
    """A Secret with accessKeyId, secretAccessKey and, where needed, sessionToken and ca.crt.
    Changed keys are followed without a restart."""


class Archive(Model):
    """Raw records, kept in S3 as objects of JSON lines, compressed with zstd."""

    s3: S3
    """Where the objects are kept."""
    max_bytes: int = Field(default=32 << 20, ge=1 << 16, le=64 << 20)
    """Bytes of lines, before compression, that make an object complete."""
    timeout: Duration = Duration("5m")
    """How long the first record of an object waits at the most. In mode Once, an object is complete
    as well when its partition has brought nothing for five seconds."""


class ArchiverReplicas(Model):
    """Bounds of the number of archiver pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.min <= self.max",
                "'must not be above max (%d), found %d'.format([self.max, self.min])",
                field=".min",
            )
        )
    )

    min: int = Field(default=0, ge=0, le=1000)
    """Pods that run even when there is no lag."""
    max: int = Field(default=4, ge=1, le=1000)
    """Pods at the most; more than the partitions can feed are never started."""


class ArchiveSource(Model):
    """Records that a job archived: they are replayed with the identity and the version they had."""

    s3: S3
    """Where the objects are kept."""
    job: str = Field(min_length=1, max_length=40)
    """The name of the job that wrote the archive."""
    namespace: str | None = Field(default=None, min_length=1, max_length=63)
    """That job's namespace; this job's own unless given."""
    run: str | None = Field(default=None, min_length=1, max_length=32)
    """One run of that job, as its status names it; all of its runs unless given."""
    partitions: tuple[int, ...] = Field(default=(), max_length=1000)
    """Partitions of that job's records topic; all unless given."""
    since: datetime | None = Field(default=None, json_schema_extra={"maxLength": 64})
    """Leaves out records that were fetched before."""
    until: datetime | None = Field(default=None, json_schema_extra={"maxLength": 64})
    """Leaves out records that were fetched then or later."""
