"""Several threads, each computing its own pieces with single-threaded kernels.

torch's own threads synchronise at a barrier after every kernel: costly on an idle machine, ruinous on a busy one, where
they spin while they wait. Here the pieces of a step (some rows, some heads of a clip) are independent, so a team waits
a few times a layer, and sleeps meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from speaker_id import kernels
from speaker_id.encoder.packed.spans import even, widened

Piece = Callable[[], object]


class Team:
    """With one thread, pieces run in the caller's own; with several, in a pool.

    Args:
        threads: how many pieces are computed at once.
        chunk: most rows of a piece that is cut regardless of the clips' borders.
        step: such a piece is extended to a multiple of it.
    """

    def __init__(self, threads: int, chunk: int, step: int = 1) -> None:
        self.threads, self.chunk, self.step = threads, chunk, step
        # torch's number of threads is set for each thread
        self.pool = (
            ThreadPoolExecutor(threads, "packed", torch.set_num_threads, (1,)) if threads > 1 else None
        )

    def run(self, pieces: Iterable[Piece]) -> None:
        """Compute all pieces, in any order; return when the last is done."""
        if self.pool is None:
            for piece in pieces:
                piece()
        else:
            for pending in [self.pool.submit(infer, piece) for piece in pieces]:
                pending.result()

    def chunks(self, rows: int) -> Iterable[slice]:
        """Cut all rows regardless of the clips' borders: for operations on single rows."""
        return even(slice(0, rows), self.chunk, self.threads, self.step)

    def map_rows(self, function: Callable[[Tensor], Tensor], rows: Tensor, out: Tensor) -> Tensor:
        """Compute out = function(rows), a chunk at a time; `out` may be `rows`."""

        def chunk(piece: slice) -> None:
            wide = widened(piece, self.step)
            out[piece] = function(rows[wide])[piece.start - wide.start :]

        self.run(partial(chunk, piece) for piece in self.chunks(len(rows)))
        return out

    def in_charge(self) -> AbstractContextManager[None]:
        """Limit the caller's own kernels to one thread meanwhile: no second set of threads beside the team's."""
        return kernels.one_thread() if self.pool is not None else nullcontext()


@torch.inference_mode()  # a mode is set for each thread
def infer(piece: Piece) -> None:
    piece()
