"""Who takes over a Lease, and when: pure functions of what is there.

The rules are those of Kubernetes's own leader election: a holder renews; others take over when they
have seen no renewal for as long as the Lease says. No two clocks are compared.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sluice_operator.observed import Object

NAME: Final = "sluice-operator"
DURATION: Final = 20.0
"""Seconds without a renewal after which a Lease is anybody's."""
VALID: Final = 15.0
"""Seconds after the last renewal in which its holder counts on it: the rest is for slow answers."""
RENEWAL: Final = 3.0
"""Seconds between two renewals, and between two looks at the Lease of another."""
RETRY: Final = 1.0
"""Seconds until the next try when the API server did not answer."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A Lease as it was last seen to change: its content, and the local time of the first look."""

    version: str
    holder: str
    since: float


def seen(before: Sight | None, found: Object, now: float) -> Sight:
    """Return what is known of a Lease after another look; ``now``: monotonic, in seconds."""
    version = str(found["metadata"]["resourceVersion"])
    if before is not None and before.version == version:
        return before
    return Sight(version, str((found.get("spec") or {}).get("holderIdentity") or ""), now)


def free(sight: Sight, identity: str, now: float) -> bool:
    """Whether a Lease may be taken, or renewed: it is ours, given back, or out of date."""
    return sight.holder in ("", identity) or now - sight.since > DURATION


def body(namespace: str, holder: str, found: Object | None) -> Object:
    """Return the Lease to write for a holder, or for nobody; it replaces what was found alone."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    before = (found or {}).get("spec") or {}
    changed = before.get("holderIdentity") != holder
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": int(DURATION),
        "renewTime": now,
        "acquireTime": now if changed else before.get("acquireTime", now),
        "leaseTransitions": before.get("leaseTransitions", 0) + (changed and found is not None),
    }
    metadata = {"name": NAME, "namespace": namespace}
    if found is not None:
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": spec,
    }
