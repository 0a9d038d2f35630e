"""How much of a clip could not be decoded: a damaged frame is skipped, as players do, and counted."""

from __future__ import annotations

from speaker_id.errors import CorruptAudio

MOST_DAMAGED = 0.05  # share of a clip's frames; beyond it the answer would be about another recording


class Damage:
    """The frames of one clip, decoded and skipped, while it is read.

    Args:
        most_frames: that a clip within the limit on its length can have; a body of nothing but damage is rejected
            when MOST_DAMAGED of them are lost.
    """

    def __init__(self, most_frames: int) -> None:
        self.most_frames = most_frames
        self.decoded = 0
        self.decoded_bytes = 0
        self.seconds = 0.0  # that were decoded
        self.skipped = 0
        self._name = ""
        self._first = 0.0  # s

    def read(self, size: int) -> None:
        """Count a decoded frame of `size` bytes."""
        self.decoded += 1
        self.decoded_bytes += size

    def skip(self, name: str, size: int) -> None:
        """Count `size` bytes that could not be decoded: one frame, or as many as fit before the one they end with."""
        usual = self.decoded_bytes / self.decoded if self.decoded else size
        self.add(name, max(1, round(size / max(1.0, usual)) - 1), self.seconds)

    def add(self, name: str, frames: int, seconds: float) -> None:
        """Count missing frames.

        Args:
            name: of the format.
            frames: how many are missing.
            seconds: from the beginning to the first of them.

        Raises:
            CorruptAudio: they are too many for a clip of any length.
        """
        if frames and not self.skipped:
            self._name, self._first = name, seconds
        self.skipped += frames
        if self.skipped > MOST_DAMAGED * self.most_frames:
            self.check()

    def check(self) -> None:
        """Raise CorruptAudio if more than MOST_DAMAGED of the frames are missing."""
        frames = self.decoded + self.skipped
        if self.skipped > MOST_DAMAGED * frames:
            raise CorruptAudio(
                f"{self._name} content cannot be decoded: {self.skipped} of {frames} frames are damaged, more than "
                f"{MOST_DAMAGED:.0%}; the first is at {self._first:.3f} s"
            )
