"""A verified checkpoint folder → the model, its feature extractor and its labels, all in fp32 and eval mode.

Everything about a model comes from its folder (normalisation, sampling rate, labels, head), nothing from the code,
nothing from the network and nothing from a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from speaker_id import label_names, parameters
from speaker_id.heads import of_embedding
from speaker_id.manifest import (
    CONFIG_FILE,
    LABELS_FILE,
    PREPROCESSOR_FILE,
    CheckpointError,
    Manifest,
    check_config,
    is_xvector,
    verify,
    weights_of,
)
from speaker_id.settings import ScoreFunction

__all__ = ["Checkpoint", "CheckpointError", "Manifest", "load", "verify"]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model.

    Attributes:
        model: `Wav2Vec2ForSequenceClassification`, its HuBERT twin or `Wav2Vec2ForXVector`, fp32, eval mode; or its
            `Parameters`.
        feature_extractor: the checkpoint's own, which normalises as the checkpoint says; or its `Preparation`.
        labels: what to answer for each logit, in the logits' order, those of several heads one after the other.
        default_function: how logits become scores when the caller does not say.
        sampling_rate: in Hz, of the waveform that the model expects.
        manifest: where it came from.
        others: the other heads' models, around the same backbone.
        heads: how many labels each classifier has, in order, where there are several.
        functions: the default function of each classifier of a checkpoint of several heads.
    """

    model: Any
    feature_extractor: Any
    labels: tuple[str, ...]
    default_function: ScoreFunction
    sampling_rate: int
    manifest: Manifest
    others: tuple[Any, ...] = ()
    heads: Mapping[str, int] = field(default_factory=dict)
    functions: Mapping[str, ScoreFunction] = field(default_factory=dict)

    def by_head(self) -> dict[str, tuple[str, ...]]:
        """Return the labels of each classifier; "" for the only one without a name, nothing where there is none."""
        rest = iter(self.labels)
        sizes = self.heads or ({"": len(self.labels)} if self.labels else {})
        return {head: tuple(islice(rest, count)) for head, count in sizes.items()}

    def function_of(self, head: str) -> ScoreFunction:
        """Return how a classifier's logits become scores when the caller does not say."""
        return self.functions.get(head, self.default_function)

    def embedder(self) -> tuple[str, str]:
        """Return source and revision of the weights that make the embedding; without a commit, their SHA-256."""
        manifest = self.manifest
        if not manifest.heads:
            return manifest.source, manifest.revision or weights_of(manifest.source_files)
        card = [*manifest.heads.values()][of_embedding((self.model, *self.others))]
        return card.source, card.identity()


def load(
    folder: Path, device: str = "cpu", heads: Mapping[str, int] | None = None, computes: bool = True
) -> Checkpoint:
    """Verify every hash, then load strictly: every tensor used, none missing, none of another shape.

    Args:
        folder: the checkpoint, with its manifest.
        device: "cpu" or "cuda:N".
        heads: labels of each classifier, where several share one model's vector of logits.
        computes: whether the models must compute by themselves. If not, those that the packed encoder computes are
            `Parameters`, which need no transformers.

    Raises:
        CheckpointError: what is wrong with the folder, in one line.
    """
    manifest = verify(folder)
    content = check_config((folder / CONFIG_FILE).read_bytes())
    read = None if computes else parameters.read(folder, manifest, content)
    if read is None:
        from speaker_id import pretrained  # here, not above: it imports transformers, which takes seconds

        read = pretrained.read(folder, manifest, content)
    models, feature_extractor = read
    model, *others = models
    for each in models:
        _settle(each.config)
        assert not each.config.use_weighted_layer_sum or (
            len(each.layer_weights) == each.config.num_hidden_layers + 1  # every output, and the first input
        )
    named = label_names.by_head(folder, manifest)
    if manifest.heads:
        labels = tuple(label for labels in named.values() for label in labels)
    elif is_xvector(content):
        labels = ()
    else:
        outputs = model.classifier.out_features
        labels = label_names.load(model.config.id2label, outputs, heads or {}, folder / LABELS_FILE)
    own = dict(
        zip(manifest.heads, (_default_function(each.config.problem_type) for each in models), strict=False)
    )
    return Checkpoint(
        model=model.to(device).eval(),
        feature_extractor=feature_extractor,
        labels=labels,
        default_function=_default_function(model.config.problem_type),
        sampling_rate=_sampling_rate(feature_extractor),
        manifest=manifest,
        others=tuple(each.to(device).eval() for each in others),
        heads={name: len(each) for name, each in named.items()} or dict(heads or {}),
        functions={name: own[name.split(".")[0]] for name in named},
    )


def _settle(config: Any) -> None:
    if getattr(config, "tie_last_hidden_states", None) is None:
        # The weighted layer sum was trained, in s3prl and in transformers 4, on a last state that has passed the
        # encoder's final norm. transformers 5 hands pre-norm models the state before it, unless the config says so.
        config.tie_last_hidden_states = True


def _default_function(problem_type: str | None) -> ScoreFunction:
    """As `AudioClassificationPipeline.postprocess` of transformers chooses."""
    if problem_type == "regression":
        return "none"
    return "sigmoid" if problem_type == "multi_label_classification" else "softmax"


def _sampling_rate(feature_extractor: Any) -> int:
    rate = getattr(feature_extractor, "sampling_rate", None)
    if not isinstance(rate, int) or rate <= 0:
        raise CheckpointError(
            f"{PREPROCESSOR_FILE} has sampling_rate {rate!r}; it must be a whole number of Hz"
        )
    return rate
