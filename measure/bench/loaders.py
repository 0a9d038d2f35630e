"""Checkpoint folder → an engine's callable: waveforms → logits, each baseline as its own users set it up.

torch and transformers are imported inside: a worker's environment must be set before they start their threads.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from speaker_id.clip import Waveform
from speaker_id.plan import AUTO, KINDS

from measure import Unavailable
from measure.bench import compilers, peers
from measure.bench.engines import BATCH, Loaded, Logits, Precision

if TYPE_CHECKING:
    from speaker_id.checkpoint import Checkpoint
    from speaker_id.encoder.packed import PackedEncoder
    from speaker_id.plan import Plan


def checkpoint(folder: Path, threads: int) -> Checkpoint:
    """The model as the handler loads it, and torch held to its threads."""
    import torch
    from speaker_id.checkpoint import load

    torch.set_num_threads(threads)
    return load(folder)


def one_by_one(folder: Path, threads: int) -> Loaded:
    """The reference: Hugging Face's model, a clip at a time, never padded."""
    from speaker_id.encoder.reference import ReferenceEncoder

    loaded = checkpoint(folder, threads)
    encoder = ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu")
    return Loaded(lambda waveforms: encoder(waveforms).numpy(), "transformers")


def padded(folder: Path, threads: int) -> Loaded:
    """The usual handler: the batch padded to its longest clip, with a mask if the checkpoint asks for one."""
    import torch

    loaded = checkpoint(folder, threads)

    @torch.inference_mode()
    def encode(waveforms: Sequence[Waveform]) -> Logits:
        features = loaded.feature_extractor(
            list(waveforms), sampling_rate=loaded.sampling_rate, padding=True, return_tensors="pt"
        )
        logits: Logits = loaded.model(**features).logits.numpy()
        return logits

    return Loaded(encode, "transformers")


def pipeline(folder: Path, threads: int) -> Loaded:
    """`transformers.pipeline("audio-classification", batch_size=8)`, asked for every label's logit."""
    import transformers

    loaded = checkpoint(folder, threads)
    model = loaded.model
    run = transformers.pipeline(
        "audio-classification",
        model=model,
        feature_extractor=loaded.feature_extractor,
        batch_size=BATCH,
        device="cpu",
    )

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        inputs = [{"raw": waveform, "sampling_rate": loaded.sampling_rate} for waveform in waveforms]
        answers: Any = run(inputs, top_k=model.config.num_labels, function_to_apply="none")
        scores = [{entry["label"]: entry["score"] for entry in answer} for answer in answers]
        labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
        return np.array([[row[label] for label in labels] for row in scores], np.float32)

    return Loaded(encode, "transformers pipeline")


def packed(folder: Path, threads: int, precision: Precision, pinned: str = AUTO) -> Loaded:
    """Ours, as the handler serves it."""
    encoder, plan = packed_encoder(folder, threads, precision, pinned)
    return Loaded(lambda waveforms: encoder(waveforms).numpy(), f"torch {encoder.operators.name}: {plan}")


def packed_encoder(
    folder: Path, threads: int, precision: Precision, pinned: str = AUTO
) -> tuple[PackedEncoder, Plan]:
    """Its encoder, and its kernels: measured again in each process, as at a worker's first start."""
    from speaker_id import kernels
    from speaker_id.encoder import plans
    from speaker_id.encoder.packed import PackedEncoder

    kernels.bound_caches()
    loaded = checkpoint(folder, threads)
    plan = plans.plan(pinned, loaded.model.config, precision, "cpu", None)
    try:
        encoder = PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", precision, plan=plan)
    except ValueError as exc:
        raise Unavailable(str(exc)) from exc
    del loaded
    gc.collect()  # the encoder has weights of its own
    return encoder, plan


def packed_int8(folder: Path, threads: int) -> Loaded:
    """Ours with its linear layers in int8, calibrated with the demo's clips; the rest in bf16 where there is bf16."""
    import torch
    from speaker_id import kernels
    from speaker_id.encoder import plans
    from speaker_id.encoder.packed.probe import precisions

    from measure.bench.int8.quantised import quantised

    kernels.bound_caches()
    loaded = checkpoint(folder, threads)
    precision = precisions(torch.device("cpu"))[-1]
    plan = plans.plan(AUTO, loaded.model.config, precision, "cpu", None)
    encoder = quantised(loaded, precision, plan)
    del loaded
    gc.collect()
    return Loaded(
        lambda waveforms: encoder(waveforms).numpy(), f"torch onednn int8, rest {precision}: {plan}"
    )


LOADERS: dict[str, Callable[[Path, int], Loaded]] = {
    "hf": one_by_one,
    "hf-padded": padded,
    "pipeline": pipeline,
    "packed-fp32": lambda folder, threads: packed(folder, threads, "fp32"),
    **{f"packed-fp32-{kind}": partial(packed, precision="fp32", pinned=kind) for kind in KINDS},
    "packed-bf16": lambda folder, threads: packed(folder, threads, "bf16"),
    "onnxruntime-fp32": peers.onnxruntime,
    "openvino-fp32": lambda folder, threads: peers.openvino(folder, threads, "fp32"),
    "openvino-bf16": lambda folder, threads: peers.openvino(folder, threads, "bf16"),
    "packed-int8": packed_int8,
    "onnxruntime-int8": partial(peers.onnxruntime, form="onnx-int8"),
    "openvino-int8": partial(peers.openvino, precision=None, form="openvino-int8"),
    "openvino-int8-linear": partial(peers.openvino, precision=None, form="openvino-int8-linear"),
    "inductor-fp32": partial(compilers.inductor, precision="fp32"),
    "inductor-bf16": partial(compilers.inductor, precision="bf16"),
    "torchao-int8": compilers.torchao,
    "zentorch-fp32": partial(compilers.zentorch, precision="fp32"),
    "zentorch-bf16": partial(compilers.zentorch, precision="bf16"),
}
