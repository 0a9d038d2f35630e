"""Where the clips of a batch are: their samples in one signal, and their rows in packed activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.packed.spans import spans

Index = Tensor  # int64, on the device


class Layout(list[slice]):
    """Each clip's rows, as `Spans`, and the same numbers on the device, copied there at once.

    In the signal a clip starts at a multiple of `hop` samples, so that one strided convolution over the whole signal
    puts each clip's frames where they belong; the frames between are of two clips, and are not read.

    Args:
        samples: of each clip.
        frames: of each clip.
        hop: samples from one frame to the next.
        device: of the batch.

    Attributes:
        longest: frames of the longest clip.
        hops: of the whole signal.
        samples, frames, first_row, first_hop: of each clip, (clips,).
        ends: where each clip's rows end, after a zero, (clips + 1,), int32.
        hops_each: of each clip, (clips,).
    """

    def __init__(self, samples: Sequence[int], frames: Sequence[int], hop: int, device: torch.device) -> None:
        super().__init__(spans(frames))
        counts = np.array([samples, frames, [-(-each // hop) for each in samples]])
        ends = counts.cumsum(1)
        self.longest, self.hops, self.hop, self.device = max(frames), int(ends[2, -1]), hop, device
        self.starts: list[int] = ((ends[2] - counts[2]) * hop).tolist()
        table = uploaded(np.concatenate([counts, ends - counts]), device)
        self.samples, self.frames, self.hops_each, _, self.first_row, self.first_hop = table.unbind()
        self.ends = torch.cat([table.new_zeros(1), self.first_row + self.frames]).int()

    @property
    def rows(self) -> int:
        rows: int = self[-1].stop
        return rows

    def of_rows(self, values: Tensor) -> Tensor:
        """One value a clip → one value a row."""
        return torch.repeat_interleave(values, self.frames, output_size=self.rows)

    def of_hops(self, values: Tensor) -> Tensor:
        """One value a clip → one value a hop of the signal."""
        return torch.repeat_interleave(values, self.hops_each, output_size=self.hops)

    def taken(self, first: Tensor) -> Index:
        """Return, for each row, where it is among rows of which each clip's start at `first`, (clips,)."""
        return self.of_rows(first - self.first_row) + torch.arange(self.rows, device=self.device)

    def sums(self, values: Tensor) -> Tensor:
        """Sum over each clip's hops: (hops, …) → (clips, …). Never over others: one clip's NaN is its own."""
        return torch.segment_reduce(values, "sum", lengths=self.hops_each, axis=0, unsafe=True)

    def signal(self, waveforms: Sequence[Waveform], spare: int) -> Tensor:
        """Copy the waveforms to the device in one go, zeros between them and `spare` of them behind."""
        host = torch.empty(self.hops * self.hop + spare, pin_memory=self.device.type == "cuda")
        values, end = host.numpy(), 0
        for waveform, start in zip(waveforms, self.starts, strict=True):
            values[end:start] = 0
            end = start + len(waveform)
            values[start:end] = waveform
        values[end:] = 0
        return host.to(self.device, non_blocking=True)


def uploaded(values: np.typing.NDArray[np.int64], device: torch.device) -> Tensor:
    host = torch.from_numpy(values)
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host
