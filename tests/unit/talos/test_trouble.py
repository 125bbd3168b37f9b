"""talosctl's errors, in its own words (1.13), and what they are taken for."""

import pytest

from sluice_talos.trouble import Kind, explained, trouble

_DIAL = 'rpc error: code = Unavailable desc = connection error: desc = "'
_HANDSHAKE = f"error getting version: {_DIAL}transport: authentication handshake failed: tls: "


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            f"{_HANDSHAKE}failed to verify certificate: x509: certificate signed by unknown"
            ' authority"',
            Kind.UNTRUSTED,
        ),
        (
            f"{_HANDSHAKE}failed to verify certificate: x509: certificate has expired or is not yet"
            ' valid: current time 2026-11-24T04:32:20Z is before 2026-11-24T05:00:00Z"',
            Kind.CLOCK,
        ),
        (
            f"error getting version: {_DIAL}error reading server preface: remote error: tls:"
            ' certificate required"',
            Kind.FOREIGN,
        ),
        (
            f"error getting version: {_DIAL}transport: Error while dialing: dial tcp"
            ' 127.0.7.1:50000: connect: connection refused"',
            Kind.UNREACHABLE,
        ),
        (
            f"{_DIAL}transport: Error while dialing: dial tcp 10.0.0.11:50000: connect: no route to"
            ' host"',
            Kind.UNREACHABLE,
        ),
        (
            "error executing bootstrap: rpc error: code = FailedPrecondition desc = bootstrap is"
            " not available yet",
            Kind.TOO_EARLY,
        ),
        (
            "error executing bootstrap: rpc error: code = FailedPrecondition desc = time is not"
            " in sync yet",
            Kind.CLOCK,
        ),
        (
            "error executing bootstrap: rpc error: code = AlreadyExists desc = etcd data directory"
            " is not empty",
            Kind.DONE_BEFORE,
        ),
        (
            "error applying new configuration: rpc error: code = FailedPrecondition desc ="
            " configuration was already applied and node is rebooting, cannot apply more"
            " configuration changes until next reboot",
            Kind.REBOOTING,
        ),
        (
            "error applying new configuration: rpc error: code = InvalidArgument desc = this config"
            " change can't be applied in immediate mode\ndiff: &v1alpha1.InstallConfig{",
            Kind.NEEDS_REBOOT,
        ),
        (
            "error applying new configuration: rpc error: code = InvalidArgument desc ="
            " configuration validation failed: 1 error occurred:\n\t* no disk",
            Kind.INVALID,
        ),
        ("rpc error: code = PermissionDenied desc = not authorized", Kind.DENIED),
        ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Kind.TIMEOUT),
        ("did not end within 60 s", Kind.TIMEOUT),
        ('failed to open config file "x": open x: permission denied', Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_an_error_is_told_from_the_others(said: str, kind: Kind) -> None:
    found = trouble(said)
    assert found.kind is kind
    assert found.detail
    assert "rpc error" not in found.detail


def test_what_is_explained_names_node_reason_and_next_step() -> None:
    found = trouble("rpc error: code = FailedPrecondition desc = time is not in sync yet")
    assert explained("node one (10.0.0.11)", found) == (
        "node one (10.0.0.11): its time is not in sync (time is not in sync yet); let the node"
        " reach an NTP server (UDP port 123): the default is time.cloudflare.com, `timeServers` in"
        " platform.yaml names others; then run the command again"
    )
