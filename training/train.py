"""Waveforms → a small Wav2Vec2ForSequenceClassification, trained from scratch on two CPU cores.

python -m training.train [--out build/training/speaker] [--steps 1400] [--seed 0]
"""

import argparse
import copy
import math
from pathlib import Path

import torch
from rich.progress import MofNCompleteColumn, Progress, TextColumn
from speaker_id.encoder.packed.probe import computes_bf16
from torch import nn
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from training import FIRST_DIR, SAMPLE_RATE, WORK_DIR
from training.batches import Batches, normalise
from training.corpus import Corpus, load
from training.variants import load_variants
from training.voices import LABELS

STEPS = 1400
AUDIO_SECONDS = 60.0  # a batch
PEAK_LEARNING_RATE = 1.5e-3
WARM_UP_STEPS = 80
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.02
GRADIENT_NORM = 1.0
EMA_DECAY = 0.99
VALIDATE_EVERY = 350  # steps; the weights so far are saved then, too
VALIDATION_MIN_SECONDS = 1.5
VALIDATION_MAX_SECONDS = 4
BF16 = computes_bf16(torch.device("cpu"))  # elsewhere fp32: emulated bf16 takes many times as long
THREADS = 2  # fixed: the order of summation, and so the weights, depends on it


def demo_config() -> Wav2Vec2Config:
    """wav2vec2-base's architecture at 0.7 M parameters; every width divides base's, so it can be widened."""
    return Wav2Vec2Config(
        vocab_size=32,
        conv_dim=(64,) * 7,
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=384,
        num_conv_pos_embeddings=64,
        num_conv_pos_embedding_groups=16,
        feat_extract_norm="group",
        conv_bias=False,
        do_stable_layer_norm=False,
        use_weighted_layer_sum=True,
        classifier_proj_size=128,
        layerdrop=0.0,
        hidden_dropout=0.1,
        attention_dropout=0.05,
        activation_dropout=0.05,
        feat_proj_dropout=0.05,
        final_dropout=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )


def feature_extractor() -> Wav2Vec2FeatureExtractor:
    """Zero mean and unit variance a clip, so that the recording level does not change the answer."""
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=SAMPLE_RATE,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=False,
    )


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak."""
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return PEAK_LEARNING_RATE * warm_up * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)


def train(
    corpus: Corpus, work: Path, out: Path, steps: int = STEPS, seed: int = 0
) -> Wav2Vec2ForSequenceClassification:
    """Trains for ``steps``, saves the averaged weights (EMA) and their configuration in ``out``, returns them."""
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    model = Wav2Vec2ForSequenceClassification(demo_config()).train()
    average = copy.deepcopy(model).eval()
    optimizer = _optimizer(model)
    batches = iter(Batches(corpus, load_variants(corpus, work), AUDIO_SECONDS, seed))
    loss_column = TextColumn("loss {task.fields[loss]:.3f}")
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), loss_column) as progress:
        task = progress.add_task("training", total=steps, loss=math.nan)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            waveforms, labels = next(batches)
            with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
                logits = model(waveforms).logits
            loss = functional.cross_entropy(logits.float(), labels, label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
            optimizer.step()
            _update_average(average, model, step)
            progress.update(task, advance=1, loss=loss.item())
            if (step + 1) % VALIDATE_EVERY == 0 or step + 1 == steps:
                save(average, out)
                progress.print(f"step {step + 1}: validation accuracy {validate(average, corpus):.4f}")
    return average


def save(model: Wav2Vec2ForSequenceClassification, out: Path) -> None:
    """Writes ``model.safetensors``, ``config.json`` and ``preprocessor_config.json`` in ``out``."""
    model.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors writes for its owner only
    feature_extractor().save_pretrained(out)


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]  # biases, norms: no decay
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    decay = min(EMA_DECAY, (step + 1) / (step + 10))  # early on, follow: the first weights are noise
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)


@torch.no_grad()
def validate(model: Wav2Vec2ForSequenceClassification, corpus: Corpus) -> float:
    """Share of right answers on the validation clips, one at a time, their first 4 s."""
    clips = corpus.select("validation", VALIDATION_MIN_SECONDS)
    right = 0
    for clip in clips:
        waveform = torch.from_numpy(corpus.waveform(clip)[: VALIDATION_MAX_SECONDS * SAMPLE_RATE])
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            logits = model(normalise(waveform[None])).logits
        right += LABELS[int(logits.argmax())] == clip.voice.speaker
    return right / len(clips)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--out", type=Path, default=FIRST_DIR)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train(load(arguments.work), arguments.work, arguments.out, arguments.steps, arguments.seed)
