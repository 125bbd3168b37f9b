"""The Secrets and ConfigMaps that a job names, and where it names them."""

from dataclasses import dataclass

from sluice_api.names import JobName
from sluice_api.spec import IngestionJobSpec
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
    items, sink = spec.source.items, spec.sink.postgres
    secret = sink.secret_ref
    found = [Reference("Secret", secret.name, "spec.sink.postgres.secretRef", (secret.key,))]
    if items.postgres is not None:
        source, field = items.postgres.secret_ref, "spec.source.items.postgres.secretRef"
        found.append(Reference("Secret", source.name, field, (source.key,)))
    if items.config_map is not None:
        listed, field = items.config_map, "spec.source.items.configMap"
        found.append(Reference("ConfigMap", listed.name, field, (listed.key,)))
    if (proxies := spec.source.proxies) is not None:
        secret_ref, field = proxies.secret_ref, "spec.source.proxies.secretRef"
        found.append(Reference("Secret", secret_ref.name, field, (secret_ref.key,)))
    http, handler = spec.source.http, spec.source.handler
    if http is not None and http.headers_from is not None:
        name = http.headers_from.name
        found.append(Reference("Secret", name, "spec.source.http.headersFrom"))
    if http is not None and http.auth is not None:
        name, keys = http.auth.secret
        found.append(Reference("Secret", name, "spec.source.http.auth", keys))
    if handler is not None and handler.secret_ref is not None:
        name = handler.secret_ref.name
        found.append(Reference("Secret", name, "spec.source.handler.secretRef"))
    if spec.connections.kafka is not None:
        name, field = spec.connections.kafka.name, "spec.connections.kafka"
        found.append(Reference("Secret", name, field, ("bootstrapServers",)))
    if spec.connections.redis is not None:
        name = spec.connections.redis.name
        found.append(Reference("Secret", name, "spec.connections.redis", ("url",)))
    return found


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
