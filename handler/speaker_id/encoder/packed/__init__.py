"""The packed encoder: any mix of clips in one pass, no frame of padding, each answered as it is alone."""

from speaker_id.encoder.packed.encoder import PackedEncoder
from speaker_id.encoder.packed.support import supports

__all__ = ["PackedEncoder", "supports"]
