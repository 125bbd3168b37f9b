"""What it means when the sink's server cannot prove itself, and what to do. Pure."""

import ssl
from typing import Final

from sluice_api.errors import DependencyError

AUTHORITY: Final = "ca.crt"
"""The Secret's key with the PEM text of the authority that signed the server's certificate."""
_ANOTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_EXPIRED: Final = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""
_NO_TLS: Final = "rejected SSL upgrade"
"""What asyncpg says of a server without TLS, which it was to use."""


def refused(error: BaseException) -> DependencyError | None:
    """Return why a server's identity was refused; None when an error is about something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DependencyError("CertificateRefused", f"{_meaning(error)} ({error.verify_message})")
    if isinstance(error, ssl.SSLError) and (error.library or "") in {"X509", "PEM"}:
        return DependencyError(
            "InvalidAuthority",
            f"the key {AUTHORITY} of the sink's Secret cannot be read: it must be the PEM text of"
            f" certificates ({error.reason})",
        )
    if _NO_TLS in str(error):
        return DependencyError(
            "CertificateRefused",
            "the sink's server speaks no TLS, which its URI or the Secret's key"
            f" {AUTHORITY} asks for: turn TLS on there ({error})",
        )
    return None


def _meaning(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _ANOTHER_NAME:
        return (
            "the certificate of the sink's server is for another host: put a host name of the"
            " certificate in the URI, or sslmode=verify-ca to accept any"
        )
    if error.verify_code == _EXPIRED:
        return "the certificate of the sink's server has expired: renew it there"
    return (
        "the certificate of the sink's server is signed by no authority that is trusted: put that"
        f" authority's certificate in the key {AUTHORITY} of the sink's Secret"
    )
