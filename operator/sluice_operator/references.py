"""The Secrets and ConfigMaps that a job names, and where it names them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sluice_api.archive import S3
from sluice_api.names import JobName
from sluice_api.sink import Sink
from sluice_api.source import Items, Source
from sluice_api.spec import Connections, IngestionJobSpec
from sluice_workers.state import Trouble


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a field of the spec names; ``keys`` are those it must hold."""

    kind: str
    name: str
    field: str
    keys: tuple[str, ...] = ()


def references(spec: IngestionJobSpec) -> list[Reference]:
    """List every reference of a spec."""
    return [*_of_sink(spec.sink), *_of_source(spec.source), *_of_connections(spec.connections)]


def _of_sink(sink: Sink) -> Iterator[Reference]:
    secret = sink.postgres.secret_ref
    yield Reference("Secret", secret.name, "spec.sink.postgres.secretRef", (secret.key,))
    if sink.archive is not None:
        yield _s3(sink.archive.s3, "spec.sink.archive.s3.secretRef")


def _of_source(source: Source) -> Iterator[Reference]:
    yield from _of_items(source.items)
    if source.proxies is not None:
        secret, field = source.proxies.secret_ref, "spec.source.proxies.secretRef"
        yield Reference("Secret", secret.name, field, (secret.key,))
    if source.archive is not None:
        yield _s3(source.archive.s3, "spec.source.archive.s3.secretRef")
    http, handler = source.http, source.handler
    if http is not None and http.headers_from is not None:
        yield Reference("Secret", http.headers_from.name, "spec.source.http.headersFrom")
    if http is not None and http.auth is not None:
        name, keys = http.auth.secret
        yield Reference("Secret", name, "spec.source.http.auth", keys)
    if handler is not None and handler.secret_ref is not None:
        yield Reference("Secret", handler.secret_ref.name, "spec.source.handler.secretRef")


def _of_items(items: Items | None) -> Iterator[Reference]:
    if items is not None and items.postgres is not None:
        secret, field = items.postgres.secret_ref, "spec.source.items.postgres.secretRef"
        yield Reference("Secret", secret.name, field, (secret.key,))
    if items is not None and items.config_map is not None:
        listed, field = items.config_map, "spec.source.items.configMap"
        yield Reference("ConfigMap", listed.name, field, (listed.key,))


def _of_connections(given: Connections) -> Iterator[Reference]:
    if given.kafka is not None:
        field = "spec.connections.kafka"
        yield Reference("Secret", given.kafka.name, field, ("bootstrapServers",))
    if given.redis is not None:
        yield Reference("Secret", given.redis.name, "spec.connections.redis", ("url",))


def _s3(given: S3, field: str) -> Reference:
    return Reference("Secret", given.secret_ref.name, field, ("accessKeyId", "secretAccessKey"))


def missing(reference: Reference, job: JobName, keys: frozenset[str] | None) -> Trouble | None:
    """Say what a reference lacks: the object itself (``keys`` is None), or one of its keys."""
    what = f"{reference.kind} {job.namespace}/{reference.name}, named by {reference.field},"
    if keys is None:
        message = f"{what} does not exist: create it"
        return Trouble(reason=f"{reference.kind}NotFound", message=message)
    lacking = [key for key in reference.keys if key not in keys]
    if lacking:
        message = f"{what} has no key {lacking[0]}: it has {', '.join(sorted(keys)) or 'none'}"
        return Trouble(reason=f"{reference.kind}KeyMissing", message=message)
    return None
