"""What stands behind the encoder: one clip's hidden states → logits or an embedding. Several heads may share a pass."""

from speaker_id.heads.contract import Head, Mixture, Source
from speaker_id.heads.read import is_xvector, min_frames, of_embedding, read

__all__ = ["Head", "Mixture", "Source", "is_xvector", "min_frames", "of_embedding", "read"]
