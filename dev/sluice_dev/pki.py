"""The cluster's certificates: one authority, the API server, and a client for each component."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sluice_dev.layout import Layout

_LIFETIME: Final = timedelta(days=365)
CLIENTS: Final = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
}


class Authority:
    """A certificate authority that lives as long as the cluster."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("sluice-local", "")
        builder = _builder(self._name, self._name, self._key.public_key())
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = builder.add_extension(constraint, critical=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, name: str, organisation: str = "", alternatives: Sequence[x509.GeneralName] = ()
    ) -> tuple[bytes, bytes]:
        """Issue a certificate and its key, both PEM, for a client or (with names) a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name, organisation), self._name, key.public_key())
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        if alternatives:
            extension = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), private_pem(key)


def _name(common: str, organisation: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def write_certificates(layout: Layout) -> None:
    """Write all certificates to ``<state>/pki`` and a kubeconfig for each client."""
    authority, folder = Authority(), layout.state / "pki"
    folder.mkdir(mode=0o700)
    (folder / "ca.crt").write_bytes(authority.certificate)
    _write_pair(folder, "apiserver", authority.issue("kube-apiserver", "", _server_names(layout)))
    node = {"kubelet": (f"system:node:{layout.namespace}", "system:nodes")}
    for client, (name, organisation) in (CLIENTS | node).items():
        pair = authority.issue(name, organisation)
        _write_pair(folder, client, pair)
        write_kubeconfig(folder / f"{client}.kubeconfig", layout.server, authority, pair)
    account_key = ec.generate_private_key(ec.SECP256R1())
    _write_private(folder / "service-account.key", private_pem(account_key))
    (folder / "admin.kubeconfig").replace(layout.kubeconfig)


def _server_names(layout: Layout) -> list[x509.GeneralName]:
    addresses = ("127.0.0.1", layout.node_address, layout.api_service_address)
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    return [x509.IPAddress(ip_address(address)) for address in addresses] + [
        x509.DNSName(name) for name in (*names, "kubernetes.default.svc.cluster.local")
    ]


def _write_pair(folder: Path, name: str, pair: tuple[bytes, bytes]) -> None:
    (folder / f"{name}.crt").write_bytes(pair[0])
    _write_private(folder / f"{name}.key", pair[1])


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def write_kubeconfig(
    path: Path, server: str, authority: Authority, pair: tuple[bytes, bytes]
) -> None:
    """Write a kubeconfig that holds its certificates itself."""

    def encoded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    cluster = {"server": server, "certificate-authority-data": encoded(authority.certificate)}
    user = {"client-certificate-data": encoded(pair[0]), "client-key-data": encoded(pair[1])}
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sluice", "cluster": cluster}],
        "users": [{"name": "sluice", "user": user}],
        "contexts": [{"name": "sluice", "context": {"cluster": "sluice", "user": "sluice"}}],
        "current-context": "sluice",
    }
    _write_private(path, yaml.safe_dump(content).encode())
