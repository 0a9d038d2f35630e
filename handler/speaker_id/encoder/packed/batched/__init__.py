"""The parts of the packed encoder that a GPU computes for all clips at once.

A launch costs a GPU some microseconds whatever it computes, and one clip is too little work for it. So what the other
parts do clip by clip or tile by tile is here a handful of launches a batch, and no clip's rows are read for another's.
"""

from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.batched.stages import STAGES

__all__ = ["STAGES", "BatchedOperators"]
