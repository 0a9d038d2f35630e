"""The shipped handler, which misbehaves when a request's header asks it to, and else answers as ever.

`X-Chaos: FAULT TOKEN` on any clip. The fault comes once a token, so that the gateway's second attempt at the same
request finds a healthy worker; the token `always` makes it come every time. The file chaos-TOKEN in the working
directory, the unpacked archive, says that it has begun.

| linger     | sleep for 3 s before the batch                                 |
| hang       | sleep for ever, which only TorchServe's responseTimeout ends   |
| oom        | Python's allocator has no memory left for this batch           |
| oom-torch  | torch's has none                                               |

chaos/archives.py puts this file into an archive in the place of the shipped one, which it calls speaker_id/shipped.py.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from speaker_handler import SpeakerHandler
else:
    from speaker_id.shipped import SpeakerHandler

LINGER_SECONDS = 3.0
FOR_EVER = 3600.0  # seconds
SPARE = 64 << 20  # bytes of address space that an exhausted worker has left
PIECE = 16 << 20


class FaultyHandler(SpeakerHandler):
    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        for index in range(len(rows)):
            for name, value in context.get_all_request_header(index).items():
                if name.lower() == "x-chaos":
                    obey(*str(value).split())
        return super().handle(rows, context)


def obey(fault: str, token: str) -> None:
    try:
        Path(f"chaos-{token}").touch(exist_ok=token == "always")  # noqa: S105  # no secret
    except FileExistsError:
        return
    FAULTS[fault]()


@contextmanager
def little_memory() -> Iterator[None]:
    """So little address space that an allocation fails: a real failure, which the machine does not notice."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    former = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)


def hoard() -> None:
    with little_memory():
        kept = []
        while True:
            kept.append(bytearray(PIECE))


def hoard_tensors() -> None:
    with little_memory():
        kept = []
        while True:
            kept.append(torch.empty(PIECE, dtype=torch.uint8))


FAULTS: dict[str, Callable[[], None]] = {
    "linger": lambda: time.sleep(LINGER_SECONDS),
    "hang": lambda: time.sleep(FOR_EVER),
    "oom": hoard,
    "oom-torch": hoard_tensors,
}
