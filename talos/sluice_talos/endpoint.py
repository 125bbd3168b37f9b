"""The endpoint of the Kubernetes API: a host or an address, with or without a port."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORT: Final = 6443
_HOST: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_NUMBERS: Final = re.compile(r"[0-9.]+")


def endpoint_url(text: str) -> str:
    """Return the URL of the API at, for instance, ``10.0.0.9`` or ``[fd00::9]:443``.

    Raises ``ValueError`` for what is no such endpoint.
    """
    try:
        host, port = _parts(text)
    except ValueError:
        raise ValueError(
            "must be a host or an address, with a port if it is not 6443, such as api.example.com"
            f" or 10.0.0.10:443, found {text!r}"
        ) from None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _parts(text: str) -> tuple[str, int]:
    if text.count(":") > 1 and not text.startswith("["):
        return str(ip_address(text)), PORT
    found = urlsplit(f"//{text}")
    host = found.hostname or ""
    if text not in {found.netloc, ""} or "@" in text or found.port == 0:
        raise ValueError(text)
    if ":" in host or _NUMBERS.fullmatch(host):
        return str(ip_address(host)), found.port or PORT
    if not _HOST.fullmatch(host):
        raise ValueError(text)
    return host, found.port or PORT
