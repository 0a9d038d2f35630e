"""Speaker identification, from audio bytes to ranked labels. This package depends on no server.

Data flows one way: bytes → waveforms → micro-batch → logits → labels → body.
"""
