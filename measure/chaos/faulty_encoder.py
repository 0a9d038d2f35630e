"""An encoder that runs out of memory on request, for the faulty worker, which ships with it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from speaker_id.clip import Waveform
from speaker_id.encoder.contract import Encoder
from speaker_id.heads import Source
from torch import Tensor

SPARE = 64 << 20  # bytes of address space that an exhausted worker has left
PIECE = 16 << 20


class FaultyEncoder:
    """The worker's encoder, which runs out of memory over whatever it gets together with one certain clip."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.min_samples = encoder.min_samples
        self.min_embedding_samples = encoder.min_embedding_samples
        self.embedding_width, self.widths = encoder.embedding_width, encoder.widths
        self.disarm()

    def arm(self, hoard: Callable[[], None], token: str, samples: int) -> None:
        """Until `disarm`: for every clip of so many samples, once if the token says so."""
        self.hoard, self.token, self.samples = hoard, token, samples

    def disarm(self) -> None:
        self.samples = -1

    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        self.fail(waveforms)
        return self.encoder(waveforms)

    def embed(
        self, waveforms: Sequence[Waveform], sources: Sequence[Source] = (None,)
    ) -> tuple[Tensor, Tensor]:
        self.fail(waveforms)
        return self.encoder.embed(waveforms, sources)

    def fail(self, waveforms: Sequence[Waveform]) -> None:
        if any(len(waveform) == self.samples for waveform in waveforms) and begins(self.token):
            self.hoard()


def begins(token: str) -> bool:
    """Whether the fault of this token has not happened yet, or happens every time."""
    try:
        Path(f"chaos-{token}").touch(exist_ok=token == "always")  # noqa: S105  # no secret
    except FileExistsError:
        return False
    return True


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


HOARDS = {"oom": hoard, "oom-torch": hoard_tensors}
