"""What talosctl's errors mean, and what a person can do about them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The troubles that are told apart, because what helps differs."""

    UNTRUSTED = "its certificate is not the cluster's"
    UNREACHABLE = "nothing answers at its address"
    TOO_EARLY = "it does not allow the bootstrap yet"
    CLOCK = "its time is not in sync"
    DONE_BEFORE = "etcd has data there already"
    REBOOTING = "it has a configuration and is about to reboot"
    FOREIGN = "it asks for a certificate of another cluster"
    NEEDS_REBOOT = "the changed configuration needs a reboot"
    DENIED = "it does not allow this"
    INVALID = "it refuses the configuration"
    TIMEOUT = "it did not answer in time"
    OTHER = "talosctl failed"


@dataclass(frozen=True)
class Trouble:
    """A failed call of talosctl; ``detail`` is the last thing it said."""

    kind: Kind
    detail: str


# In order: the first that is found counts. The texts are those of Talos 1.13 and of Go's TLS.
_SIGNS: Final = (
    (r"bootstrap is not available yet", Kind.TOO_EARLY),
    (r"time is not in sync yet", Kind.CLOCK),
    (r"etcd data directory is not empty", Kind.DONE_BEFORE),
    (r"configuration was already applied and node is rebooting", Kind.REBOOTING),
    (r"another apply configuration is already in progress", Kind.REBOOTING),
    (r"can't be applied in immediate mode", Kind.NEEDS_REBOOT),
    (r"certificate signed by unknown authority", Kind.UNTRUSTED),
    (r"certificate has expired or is not yet valid", Kind.CLOCK),
    (r"tls: (certificate required|bad certificate|unknown certificate authority)", Kind.FOREIGN),
    (r"x509: certificate is (not )?valid for", Kind.UNTRUSTED),
    (r"code = PermissionDenied", Kind.DENIED),
    (r"code = (InvalidArgument|Unimplemented)", Kind.INVALID),
    (r"code = DeadlineExceeded|context deadline exceeded|did not end within", Kind.TIMEOUT),
    (r"code = Unavailable|connection refused|no route to host|i/o timeout", Kind.UNREACHABLE),
    (r"error reading server preface|connection reset by peer|\bEOF\b", Kind.UNREACHABLE),
)

_NEXT: Final = {
    Kind.UNTRUSTED: (
        "the node answers, but not with this cluster's certificate. After a configuration was"
        " applied that is normal until the node has rebooted. If it lasts, look at the machine's"
        " console: an installation that fails (wrong disk, image that cannot be pulled) stays there"
    ),
    Kind.UNREACHABLE: (
        "look at the machine's console: is it on, does it show the address that platform.yaml says,"
        " and does a firewall let TCP port 50000 through?"
    ),
    Kind.TOO_EARLY: "the node is still starting; its console says what it waits for",
    Kind.CLOCK: (
        "let the node reach an NTP server (UDP port 123): the default is time.cloudflare.com,"
        " `timeServers` in platform.yaml names others; then run the command again"
    ),
    Kind.DONE_BEFORE: "",
    Kind.REBOOTING: "wait for the reboot and run the command again",
    Kind.FOREIGN: (
        "the node was configured with other secrets than those in the folder. Use that cluster's"
        " folder, or boot the machine from the installer's image and wipe it"
    ),
    Kind.NEEDS_REBOOT: (
        "nodes are not rebooted unasked. Node by node: talosctl apply-config --mode reboot, then"
        " talosctl health"
    ),
    Kind.DENIED: "the talosconfig in the folder lacks the role os:admin",
    Kind.INVALID: "change what the message names in platform.yaml or in your patches",
    Kind.TIMEOUT: "the node or the network is slow or stuck; its console says more",
    Kind.OTHER: "talosctl's own message says what is wrong",
}


def trouble(output: str) -> Trouble:
    """Read what a failed call of talosctl wrote to standard error."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    kind = next((kind for sign, kind in _SIGNS if re.search(sign, output)), Kind.OTHER)
    return Trouble(kind, _essence(lines[-1] if kind is not Kind.OTHER and lines else output))


def _essence(text: str) -> str:
    """Leave out the wrapping that gRPC puts around what a node said."""
    return re.sub(r"^.*rpc error: code = \w+ desc = ", "", " ".join(text.split())) or "no message"


def explained(subject: str, found: Trouble) -> str:
    """Say what is wrong with a node, and what to do next."""
    advice = _NEXT[found.kind]
    return f"{subject}: {found.kind} ({found.detail})" + (f"; {advice}" if advice else "")
