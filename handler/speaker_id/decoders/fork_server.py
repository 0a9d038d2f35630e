"""The process that decoders are forked from: everything imported and run once, one thread, no caller's clip.

    python -m speaker_id.decoders.fork_server DESCRIPTOR MEMORY FILE_BYTES

It ends when the worker closes the connection, or ends.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys

import numpy as np
import soundfile

from speaker_id import audio
from speaker_id.clip import SAMPLING_RATE, EncodedAudio
from speaker_id.decoders import decoder, sandbox, streaming
from speaker_id.decoders.wire import ANSWER, COMMAND, DESCRIPTORS, FILTERED, FORK, STREAM, UNFILTERED, UNKNOWN

# A container each for libsndfile and FFmpeg: what they import or allocate at first use exists before the first fork.
WARM_UP = (("WAV", "PCM_16", 44100), ("MP3", "MPEG_LAYER_III", 44100))


def main(descriptor: int, memory: int, file_bytes: int) -> None:
    connection = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    for number in (signal.SIGINT, signal.SIGHUP):
        # sent by a terminal to the server: the worker ends this process
        signal.signal(number, signal.SIG_IGN)
    warm_up()
    own = os.getpid()
    children: set[int] = set()
    try:
        connection.sendall(FILTERED if sandbox.FILTERED else UNFILTERED)
        while command := receive(connection):
            kind, pid, descriptors = command
            if kind in (FORK, STREAM):
                try:
                    child = os.fork()
                except OSError:  # no process or no memory is left: the next command may succeed
                    child = UNKNOWN
                if not child:
                    connection.close()
                    run(own, kind, descriptors, memory, file_bytes)
                for each in descriptors:
                    os.close(each)
                children |= {child} - {UNKNOWN}
                connection.sendall(ANSWER.pack(child))
            elif pid in children:
                os.kill(pid, signal.SIGKILL)  # one that has already ended keeps its status
                children.remove(pid)
                connection.sendall(ANSWER.pack(os.waitpid(pid, 0)[1]))
            else:
                connection.sendall(ANSWER.pack(UNKNOWN))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker is gone


def receive(connection: socket.socket) -> tuple[bytes, int, list[int]] | None:
    """Receive the next command with its descriptors; None once the worker has closed the connection."""
    data, descriptors, _, _ = socket.recv_fds(connection, COMMAND.size, DESCRIPTORS)
    while data and len(data) < COMMAND.size:
        data += connection.recv(COMMAND.size - len(data)) or b"\0" * COMMAND.size
    return (*COMMAND.unpack(data), descriptors) if data else None


def run(parent: int, kind: bytes, descriptors: list[int], memory: int, file_bytes: int) -> None:
    """Run as a decoder process; never return."""
    status = 1
    try:
        sandbox.end_with_parent(parent)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)  # what the libraries say about a caller's bytes
        os.close(quiet)
        connection = socket.socket(fileno=descriptors[0])
        if kind == STREAM:
            file = audio.Span.of(descriptors[1])
            sandbox.confine(memory, 0)  # it writes to no file
            streaming.serve(connection, file)
        else:
            body, samples = descriptors[1:]
            sandbox.confine(memory, file_bytes)
            decoder.serve(connection, body, samples)
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        status = 0  # the worker is gone
    finally:
        os._exit(status)


def warm_up() -> None:
    for container, codec, rate in WARM_UP:
        file = io.BytesIO()
        soundfile.write(file, np.zeros((rate // 4, 2), np.float32), rate, format=container, subtype=codec)
        audio.decode(
            EncodedAudio(file.getvalue()), sampling_rate=SAMPLING_RATE, max_seconds=1.0, min_samples=1
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
