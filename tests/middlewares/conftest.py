"""A Valkey server of its own for each test, as in tests/queue."""

from tests.queue.conftest import socket_folder, valkey

__all__ = ["socket_folder", "valkey"]
