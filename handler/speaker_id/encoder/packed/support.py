"""Which models the packed encoder computes exactly; the reference encoder serves all others."""

from __future__ import annotations

from typing import Any

CLASSES = {
    "Wav2Vec2ForSequenceClassification",
    "HubertForSequenceClassification",
    "Wav2Vec2ForXVector",  # transformers has none of HuBERT
}
ACTIVATION = "gelu"  # the exact one, by the error function: every published checkpoint's


def supports(model: Any) -> str | None:
    """Return None for a model that the packed encoder computes, else the reason why not, for a log line."""
    # the exact class: a subclass may override forward(). Parameters say whose they are.
    config, kind = model.config, getattr(model, "architecture", type(model).__name__)
    if kind not in CLASSES:
        return f"{kind} (model_type {config.model_type}) is none of {', '.join(sorted(CLASSES))}"
    for name in ("feat_extract_activation", "hidden_act"):
        if getattr(config, name) != ACTIVATION:
            return f"{name} is {getattr(config, name)!r}, not {ACTIVATION!r}"
    if config.feat_extract_norm not in ("group", "layer"):
        return f"feat_extract_norm is {config.feat_extract_norm!r}, neither 'group' nor 'layer'"
    if getattr(config, "conv_pos_batch_norm", False):
        return "conv_pos_batch_norm is set"
    if getattr(config, "add_adapter", False):
        return "add_adapter is set"
    if getattr(config, "adapter_attn_dim", None) is not None:
        return f"adapter_attn_dim is {config.adapter_attn_dim}"
    return None
