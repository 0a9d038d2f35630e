"""The protocol between worker, fork server and decoders.

The worker sends the fork server a command: `F` with the three descriptors of a new decoder (its connection, the
shared memory of the clip, that of the samples), answered with a process id; `E` with a process id, which ends that
decoder and is answered with its wait status; `S` with the two descriptors of a process that decodes one recording (its
connection, the file), answered as `F` is. A decoder receives one line of JSON for each clip and replies with one.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile

COMMAND = struct.Struct("<cI")  # what, and a process id
ANSWER = struct.Struct("<I")
FORK, END, STREAM = b"F", b"E", b"S"
# Sent once by the fork server, when it is ready: whether system calls are filtered.
FILTERED, UNFILTERED = b"F", b"U"
UNKNOWN = 0xFFFF_FFFF  # answer to END: no such decoder; to FORK: none can be started
DESCRIPTORS = 3
LONGEST_LINE = 4096  # bytes of a request or a reply
# Of a recording's process: what follows, and how many samples or bytes of JSON; or how many milliseconds the whole has,
# where that is known before it is decoded. After the result it has ended.
PART = struct.Struct("<cI")
LENGTH, SAMPLES, RESULT = b"L", b"S", b"R"


class Lost(Exception):
    """The other process has ended, or its answer is invalid."""


def write(descriptor: int, data: memoryview) -> None:
    """Write to shared memory, from its start."""
    position = 0
    while position < len(data):
        position += os.pwrite(descriptor, data[position:], position)


def connected() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection.

    Raises:
        Lost: this process can open no more descriptors.
    """
    try:
        return socket.socketpair()
    except OSError as exc:
        raise Lost("no connection to another process can be opened") from exc


def shared_memory(name: str) -> int:
    """Return the descriptor of memory that another process can share; of an unnamed file where there is no memfd."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
