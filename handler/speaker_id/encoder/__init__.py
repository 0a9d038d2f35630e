"""Waveforms to logits: the contract, the reference encoder, the packed one, and which of them serves a model."""
