"""Where requests may go."""

import socket

import pytest

from sluice_workers.fetch.addresses import Addresses, ForbiddenAddressError

FORBIDDEN = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "169.254.169.254",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
]
NAMES = ["localhost", "LOCALHOST.", "api.localhost", "2130706433", "0x7f000001", "127.1"]


def made(addresses: Addresses, host: str) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    factory = addresses.guarding(lambda _: socket.socket(family))
    with factory((family, socket.SOCK_STREAM, 0, "", (host, 80))):
        return host


@pytest.mark.parametrize("host", FORBIDDEN)
def test_no_socket_is_made_for_a_loopback_or_link_local_address(host: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="SLUICE_ALLOWED_ADDRESSES"):
        made(Addresses(), host)


@pytest.mark.parametrize("host", [*FORBIDDEN, *NAMES])
def test_a_url_that_names_one_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        Addresses().check(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1"])
def test_others_are_open(host: str) -> None:
    assert made(Addresses(), host) == host
    Addresses().check(host)


def test_names_are_looked_at_when_they_are_resolved() -> None:
    Addresses().check("api.example.com")
    Addresses().check(None)


def test_what_is_allowed_is_open_and_nothing_else() -> None:
    addresses = Addresses(("127.0.0.0/8", "169.254.10.0/24"))
    assert made(addresses, "127.0.0.1") == "127.0.0.1"
    assert made(addresses, "::ffff:127.0.0.1") == "::ffff:127.0.0.1"
    addresses.check("169.254.10.1")
    for host in ("169.254.169.254", "::1"):
        with pytest.raises(ForbiddenAddressError):
            made(addresses, host)
