"""The demo's three heads on one backbone, each a checkpoint of its own that transformers loads.

    speaker   Wav2Vec2ForSequenceClassification   the six named voices
    language  Wav2Vec2ForSequenceClassification   the five languages that the named voices speak
    voice     Wav2Vec2ForXVector                  an embedding for voices of one's own; its labels are of training only

The three models share one ``Wav2Vec2Model`` object while they train. The backbone is saved with ``speaker`` alone, in
the model's own folder; the others' folders in it hold their own tensors, which ``heads:`` of its model.yaml completes.
"""

import copy
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2ForXVector,
    Wav2Vec2PreTrainedModel,
)

from training.train import demo_config, feature_extractor
from training.voices import LABELS, VOICES

LANGUAGES = tuple(sorted({voice.language for voice in VOICES}))
TDNN = {"tdnn_dim": (128, 128, 128, 256), "tdnn_kernel": (5, 3, 1, 1), "tdnn_dilation": (1, 2, 1, 1)}
EMBEDDING_DIM = 128
NAMES = ("speaker", "language", "voice")
SHRINKAGE = 0.1  # of the covariance within people, chosen on the calibration people
SCALE = 30.0  # of the cosines, as transformers' AMSoftmaxLoss has it


class Heads(nn.Module):
    """One pass of the backbone, three answers."""

    def __init__(self, people: tuple[str, ...]) -> None:
        super().__init__()
        self.speaker = classifier(LABELS)
        self.language = classifier(LANGUAGES)
        self.voice = Wav2Vec2ForXVector(_config(people, xvector_output_dim=EMBEDDING_DIM, **TDNN))
        self.language.wav2vec2 = self.voice.wav2vec2 = self.speaker.wav2vec2
        # The layout asks for a linear map behind the embedding; the loss below does not, so it is the identity.
        nn.init.eye_(self.voice.classifier.weight)
        nn.init.zeros_(self.voice.classifier.bias)
        self.voice.classifier.requires_grad_(False)
        nn.init.normal_(self.voice.objective.weight)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float32 [batch, samples] → speaker and language logits, embeddings [batch, 128]."""
        states = torch.stack(self.speaker.wav2vec2(waveforms, output_hidden_states=True).hidden_states)
        return (
            _classify(self.speaker, states),
            _classify(self.language, states),
            _embed(self.voice, states),
        )

    def margin_loss(self, embeddings: Tensor, people: Tensor, margin: float) -> Tensor:
        """Additive margin softmax (arXiv 1801.05599) of the cosines to each person's vector."""
        cosines = functional.normalize(embeddings.float(), dim=1) @ functional.normalize(
            self.voice.objective.weight, dim=0
        )
        target = functional.one_hot(people, cosines.shape[1])
        return functional.cross_entropy(SCALE * (cosines - margin * target), people)


def save(heads: Heads, out: Path) -> None:
    """Writes the first head's checkpoint in ``out``, with the backbone, and the others' own tensors in folders."""
    heads.speaker.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors writes for its owner only
    feature_extractor().save_pretrained(out)
    save_own(heads.language, out / "language")
    save_own(without_people(heads.voice), out / "voice")


def without_people(voice: Wav2Vec2ForXVector) -> Wav2Vec2ForXVector:
    """The same embedding, without what only training uses: a vector of each person, and their names."""
    config = copy.deepcopy(voice.config)
    config.id2label, config.label2id = {0: "one", 1: "another"}, {"one": 0, "another": 1}
    bare = Wav2Vec2ForXVector(config)
    tensors = voice.state_dict()
    tensors["objective.weight"] = tensors["objective.weight"][:, : len(config.id2label)]
    bare.load_state_dict(tensors)
    return bare


def save_own(model: Wav2Vec2PreTrainedModel, folder: Path) -> None:
    """Writes a checkpoint without its backbone."""
    model.save_pretrained(folder)
    weights = folder / "model.safetensors"
    own = {key: each for key, each in load_file(weights).items() if not key.startswith("wav2vec2.")}
    save_file(own, weights, {"format": "pt"})
    weights.chmod(0o644)
    feature_extractor().save_pretrained(folder)


@torch.no_grad()
def whiten(heads: Heads, embeddings: Tensor, people: Tensor) -> None:
    """Centres the embedding and makes it vary alike in all directions within a person, in the embedding's own layer.

    Within-class covariance normalisation (Hatch et al. 2006, https://www.isca-archive.org/interspeech_2006/), a linear
    map, becomes part of the affine map that ends the x-vector: the layout stays as it is.

    Args:
        embeddings: [clips, 128], of people who train.
        people: int64 [clips].
    """
    names = torch.unique(people)
    rows = embeddings.double()
    means = torch.stack([rows[people == name].mean(0) for name in names])
    within = torch.cat([rows[people == name] - rows[people == name].mean(0) for name in names])
    covariance = within.T @ within / len(within)
    spread = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread
    # unit variance within a person; the scale is of no account to a cosine, but keeps the numbers as they were
    white = torch.linalg.cholesky(torch.linalg.inv(covariance)) * covariance.diagonal().mean().sqrt()
    affine = heads.voice.feature_extractor
    bias = (affine.bias.double() - means.mean(0)) @ white
    affine.weight.copy_((white.T @ affine.weight.double()).float())
    affine.bias.copy_(bias.float())


def classifier(labels: tuple[str, ...]) -> Wav2Vec2ForSequenceClassification:
    """A head of classes, not trained yet."""
    return Wav2Vec2ForSequenceClassification(_config(labels))


def _config(labels: tuple[str, ...], **more: object) -> Wav2Vec2Config:
    config = demo_config()
    config.update(more)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    return config


def _weighted(model: Wav2Vec2PreTrainedModel, states: Tensor) -> Tensor:
    """[layers, batch, frames, hidden] → the head's weighted sum, projected."""
    weights = model.layer_weights.softmax(0).view(-1, 1, 1, 1)
    projected: Tensor = model.projector((states * weights).sum(0))
    return projected


def _classify(model: Wav2Vec2ForSequenceClassification, states: Tensor) -> Tensor:
    logits: Tensor = model.classifier(_weighted(model, states).mean(1))
    return logits.float()


def _embed(model: Wav2Vec2ForXVector, states: Tensor) -> Tensor:
    hidden = _weighted(model, states)
    for layer in model.tdnn:
        hidden = layer(hidden)
    hidden = hidden.float()
    pooled = torch.cat([hidden.mean(1), hidden.std(1)], dim=1)
    embeddings: Tensor = model.feature_extractor(pooled)
    return embeddings.float()
