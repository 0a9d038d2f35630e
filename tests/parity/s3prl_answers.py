"""What s3prl answers: its own encoder, its weighted sum and its head, on a checkpoint of transformers' form.

    PYTHON_OF_S3PRL s3prl_answers.py CHECKPOINT_DIR WAVEFORMS.npz OUT.npy

A script for an environment of its own (`make s3prl`): s3prl pulls in a torchaudio that breaks beside our torch. It
imports nothing of ours and nothing of transformers, so that the oracle is code which ours was not written from.
The superb checkpoints were trained with s3prl and converted to transformers' names; this converts them back.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from s3prl.downstream.model import UtteranceLevel
from s3prl.upstream.hubert.expert import UpstreamExpert as Hubert
from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig
from s3prl.upstream.interfaces import Featurizer
from s3prl.upstream.wav2vec2.expert import UpstreamExpert as Wav2Vec2
from s3prl.upstream.wav2vec2.wav2vec2_model import Wav2Vec2Config, Wav2Vec2Model
from safetensors.torch import load_file

# transformers' names → s3prl's (fairseq's), longest first
NAMES = (
    ("feature_projection.layer_norm.", "layer_norm."),
    ("feature_projection.projection.", "post_extract_proj."),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original0", "encoder.pos_conv.0.weight_g"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original1", "encoder.pos_conv.0.weight_v"),
    ("encoder.pos_conv_embed.conv.", "encoder.pos_conv.0."),
    (".attention.", ".self_attn."),
    (".feed_forward.intermediate_dense.", ".fc1."),
    (".feed_forward.output_dense.", ".fc2."),
    ("masked_spec_embed", "mask_emb"),
)


def renamed(name: str, group_norm: bool) -> str:
    for old, new in NAMES:
        name = name.replace(old, new)
    parts = name.split(".")
    if parts[0] == "feature_extractor":  # feature_extractor.conv_layers.3.conv.weight
        inner = {"conv": "0", "layer_norm": "2" if group_norm else "2.1"}[parts[3]]
        return ".".join([*parts[:3], inner, parts[4]])
    if parts[:2] == ["encoder", "layers"] and parts[3] == "layer_norm":
        parts[3] = "self_attn_layer_norm"
    return ".".join(parts)


def upstream(config: dict, tensors: dict[str, torch.Tensor], normalise: bool) -> torch.nn.Module:
    """s3prl's expert over the checkpoint's encoder, loaded from a file as s3prl loads its own."""
    family = config["model_type"]
    settings = {
        "extractor_mode": "default" if config["feat_extract_norm"] == "group" else "layer_norm",
        "encoder_layers": config["num_hidden_layers"],
        "encoder_embed_dim": config["hidden_size"],
        "encoder_ffn_embed_dim": config["intermediate_size"],
        "encoder_attention_heads": config["num_attention_heads"],
        "layer_norm_first": config["do_stable_layer_norm"],
        "conv_feature_layers": str(
            list(zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True))
        ),
        "conv_bias": config["conv_bias"],
        "conv_pos": config["num_conv_pos_embeddings"],
        "conv_pos_groups": config["num_conv_pos_embedding_groups"],
    }
    task = {"normalize": normalise}
    if family == "hubert":
        settings["label_rate"] = 50  # Hz; of pre-training's targets, and without a default
    if family == "wav2vec2":
        blank = Wav2Vec2Model(Wav2Vec2Config(**settings))
    else:
        blank = HubertModel(HubertConfig(**settings), HubertPretrainingConfig(**task), [[]])
    weights = blank.state_dict()
    encoder = {
        renamed(name.removeprefix(f"{family}."), config["feat_extract_norm"] == "group"): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{family}.")
    }
    unknown = set(encoder) - set(weights)
    untouched = {
        name for name in set(weights) - set(encoder) if name.startswith(("feature", "encoder", "layer"))
    }
    if unknown or untouched:
        raise SystemExit(f"names do not match: unknown {sorted(unknown)}, untouched {sorted(untouched)}")
    state = {
        "task_cfg": task,
        "model_cfg": settings,
        "model_weight": {**weights, **encoder},  # what only pre-training needs stays as it is
        "dictionaries_symbols": [[]],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "converted.pt"
        torch.save(state, path)
        return {"wav2vec2": Wav2Vec2, "hubert": Hubert}[family](str(path)).eval()


@torch.no_grad()
def main(checkpoint: Path, waveforms: Path, out: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    preparation = json.loads((checkpoint / "preprocessor_config.json").read_text())
    tensors = load_file(checkpoint / "model.safetensors")
    encoder = upstream(config, tensors, preparation["do_normalize"])
    featurizer = Featurizer(encoder, "hidden_states", upstream_device="cpu")
    featurizer.weights.copy_(tensors["layer_weights"])
    classifier = UtteranceLevel(
        config["classifier_proj_size"],
        len(tensors["classifier.bias"]),
        pooling="MeanPooling",
        activation="ReLU",
    ).eval()
    classifier.post_net.linear.weight.copy_(tensors["classifier.weight"])
    classifier.post_net.linear.bias.copy_(tensors["classifier.bias"])
    logits = []
    for wave in np.load(waveforms).values():
        wavs = [torch.from_numpy(wave)]
        features = featurizer(wavs, encoder(wavs))[0]
        projected = torch.nn.functional.linear(
            features, tensors["projector.weight"], tensors["projector.bias"]
        )
        logits.append(classifier(projected[None], [len(projected)])[0][0].numpy())
    np.save(out, np.stack(logits))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
