"""Ports for programs that can't choose one of their own."""

import socket


def free_port() -> int:
    """Free at the moment; another program may still be faster."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
