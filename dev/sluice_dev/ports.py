"""Ports for servers of tests and benchmarks."""

from socket import SO_REUSEADDR, SOL_SOCKET, socket


def free_port() -> int:
    """Return a port of loopback for a server that cannot be given 0; it is never given again.

    A socket keeps it until the process ends: nobody is given it who asks for any port, and no
    connection leaves from it. A server may listen there all the same, as ours sets SO_REUSEADDR
    like the servers' do, and does not listen itself.
    """
    found = socket()
    found.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", 0))
    port = int(found.getsockname()[1])
    found.detach()
    return port
