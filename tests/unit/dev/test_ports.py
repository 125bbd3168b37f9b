"""A port that is kept for a server."""

import socket

import pytest

from sluice_dev.ports import free_port


def test_a_server_may_listen_where_others_are_kept_away() -> None:
    address = ("127.0.0.1", free_port())
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with socket.create_server(address), socket.create_connection(address):
        pass
