"""Which addresses requests may go to: no loopback or link-local one, unless it is allowed.

What serves a node or a pod itself, such as a cloud's metadata service, is not for jobs to ask; an
answer might lead there by a redirect, or by a name that resolves to it. So the address is looked at
where the socket is made, after every resolution.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MakeSocket = Callable[[Any], socket.socket]

FORBIDDEN: Final[tuple[Network, ...]] = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10"),
    )
)
"""Loopback, link-local, and what stands for this host."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MESSAGE: Final = (
    "its address is a loopback or link-local one, which the operator's SLUICE_ALLOWED_ADDRESSES"
    " does not allow"
)


class ForbiddenAddressError(OSError):
    """A connection that was not opened, because of where it would lead."""


class Addresses:
    """What the administrator allows."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """``allowed`` are networks in CIDR notation. Raises ``ValueError`` for what is none."""
        self._allowed = tuple(map(ipaddress.ip_network, allowed))

    def check(self, host: str | None) -> None:
        """Look at a URL's host that is an address; a name is looked at once it is resolved.

        Raises ``ForbiddenAddressError``.
        """
        if host is not None and (address := _literal(host)) is not None:
            self._admit(address)

    def guarding(self, make: MakeSocket) -> MakeSocket:
        """Return what makes sockets for allowed addresses alone."""

        def guarded(address: Any) -> socket.socket:
            *_, where = address
            self._admit(ipaddress.ip_address(where[0].partition("%")[0]))
            return make(address)

        return guarded

    def _admit(self, address: Address) -> None:
        for meant in _meant(address):
            if _within(meant, FORBIDDEN) and not _within(meant, self._allowed):
                # The same text for each address of a name: the client then keeps the error's type.
                raise ForbiddenAddressError(_MESSAGE)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _meant(address: Address) -> Iterable[Address]:
    """An address, or the IPv4 one that it wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return (address.ipv4_mapped,)
        if address in _NAT64:
            return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return (address,)


def _literal(host: str) -> Address | None:
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    with suppress(ValueError):
        return ipaddress.ip_address(name.partition("%")[0])
    with suppress(OSError, ValueError):
        # Resolvers take 2130706433 and 0x7f.1 for addresses too.
        return ipaddress.IPv4Address(socket.inet_aton(name))
    return None
