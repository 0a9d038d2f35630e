"""The packed encoder: any mix of clips in one pass without padding, each with the logits that it gets alone."""

from speaker_id.encoder.packed.encoder import PackedEncoder
from speaker_id.encoder.packed.support import supports

__all__ = ["PackedEncoder", "supports"]
