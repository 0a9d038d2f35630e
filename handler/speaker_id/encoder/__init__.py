"""Waveforms → logits: the interface, the reference encoder, the packed encoder, and the choice between them."""
