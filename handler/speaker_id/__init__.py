"""Speaker identification, from audio bytes to ranked labels. This package knows no server.

Data flows one way: bytes → waveform → packed batch → logits → labels → body.
"""
