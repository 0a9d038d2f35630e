"""How worker, fork server and decoders talk.

The worker sends the fork server a command: `F` with the three descriptors of a new decoder (its connection, the
shared memory of the clip, that of the samples), answered with a process id; `E` with a process id, which ends that
decoder and is answered with its wait status. A decoder receives one JSON object a line for a clip and replies likewise.
"""

from __future__ import annotations

import os
import struct

COMMAND = struct.Struct("<cI")  # what, and a process id
ANSWER = struct.Struct("<I")
FORK, END = b"F", b"E"
# Sent once by the fork server, when it is ready: whether system calls are filtered.
FILTERED, UNFILTERED = b"F", b"U"
UNKNOWN = 0xFFFF_FFFF  # answer to END: no decoder of ours has that process id; to FORK: none can be started
DESCRIPTORS = 3
LONGEST_LINE = 4096  # bytes of a request or a reply


def write(descriptor: int, data: memoryview) -> None:
    """Fill shared memory from its start."""
    position = 0
    while position < len(data):
        position += os.pwrite(descriptor, data[position:], position)
