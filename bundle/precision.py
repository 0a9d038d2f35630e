"""The agreement check that a precision below fp32 must pass before an archive of it is built.

The reference encoder, Hugging Face's model in fp32 on each clip alone, is the oracle. Compared is what a caller sees:
the best label, and every label's score.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from rich.progress import track
from speaker_id import audio, checkpoint, labels
from speaker_id.clip import EncodedAudio, Waveform
from speaker_id.encoder.contract import Encoder, by_source
from speaker_id.encoder.packed import PackedEncoder, supports
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.errors import RequestError
from speaker_id.gallery import Gallery
from speaker_id.guard import guards
from speaker_id.heads import is_xvector
from speaker_id.manifest import Manifest, PrecisionCheck
from speaker_id.open_set import Joined, OpenSet, OperatingPoint, answered
from speaker_id.settings import ScoreFunction, Settings

from bundle import BundleError
from bundle.samples import FOLDER as SAMPLES
from bundle.samples import recordings
from bundle.terminal import say

SHOWN = 20  # changed clips that a report lists
MIN_SIMILARITY = 0.99  # cosine from which two embeddings of a clip count as the same
VOICES = "enrolled voices"  # a gallery's head here, which no other head's name can be


@dataclass(frozen=True)
class Comparison:
    """One clip's answers.

    Attributes:
        clip: file name.
        expected, found: best label in fp32 and in the reduced precision, by head.
        drift: largest change of any label's score.
        similarity: cosine of the two precisions' x-vectors; None without one.
    """

    clip: str
    expected: dict[str, str]
    found: dict[str, str]
    drift: float
    similarity: float | None = None

    @property
    def changed(self) -> bool:
        return self.expected != self.found or not self.similar

    @property
    def similar(self) -> bool:
        return self.similarity is None or self.similarity >= MIN_SIMILARITY


def check_agreement(
    folder: Path, settings: Settings, threshold: float, calibration: Path | None = None
) -> None:
    """Compare the checkpoint's reduced precision with fp32 and write the outcome into its manifest.

    Args:
        folder: a converted checkpoint with its manifest.
        settings: their `precision` is checked; fp32 needs no check.
        threshold: least share of clips whose best label must not change, 0 to 1.
        calibration: folder of audio files, searched recursively. None accepts any earlier check, and uses the demo's
            sample clips where there is none.

    Raises:
        BundleError: fewer agree than the threshold requires, and which do not; no clips; a model that cannot be
            served in this precision.
    """
    manifest = Manifest.read(folder)
    if settings.precision == "fp32":
        return
    done = manifest.precision
    if done and (done.precision, done.threshold) == (settings.precision, threshold) and calibration is None:
        return
    clips = recordings("CALIBRATION", calibration or SAMPLES)
    digest = fingerprint(clips)
    comparisons = list(compare(folder, settings, clips))
    changed = [each for each in comparisons if each.changed]
    agreement, worst = least_agreement(comparisons)
    similarities = [each.similarity for each in comparisons if each.similarity is not None]
    drifts = [each.drift for each in comparisons]
    outcome = PrecisionCheck(
        precision=settings.precision,
        clips=len(comparisons),
        calibration=digest,
        agreement=agreement,
        threshold=threshold,
        largest_drift=max(drifts),
        median_drift=statistics.median(drifts),
        least_similarity=min(similarities, default=None),
    )
    say(report(outcome, changed))
    if outcome.agreement < threshold:
        raise BundleError(
            f"{settings.precision} agrees with fp32 on {outcome.agreement:.1%} of {outcome.clips} clips{worst}, "
            f"fewer than the required {threshold:.1%}: serve {manifest.name} with precision fp32"
        )
    manifest.model_copy(update={"precision": outcome}).write(folder)


def check_gallery(
    folder: Path, settings: Settings, threshold: float, gallery: Gallery, calibration: Path | None = None
) -> None:
    """Compare the voices that a gallery names in the reduced precision with those of fp32.

    Args:
        folder, settings, threshold, calibration: as of `check_agreement`.

    Raises:
        BundleError: fewer clips get the same voice, or "unknown", than the threshold requires.
    """
    if settings.precision == "fp32":
        return
    comparisons = list(compare(folder, settings, recordings("CALIBRATION", calibration or SAMPLES), gallery))
    changed = [each for each in comparisons if each.expected[VOICES] != each.found[VOICES]]
    agreement, count = 1 - len(changed) / len(comparisons), len(comparisons)
    said = f"{settings.precision} gives the enrolled voice of fp32, or unknown, on {agreement:.1%} of {count}"
    if agreement < threshold:
        first = changed[0]
        raise BundleError(
            f"{said} clips, fewer than the required {threshold:.1%} ({first.clip}: {first.expected[VOICES]} became "
            f"{first.found[VOICES]}): serve it with precision fp32"
        )
    say(f"{said} clips")


def fingerprint(clips: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for clip in clips:
        total.update(f"{clip.name} {hashlib.sha256(clip.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def compare(
    folder: Path, settings: Settings, clips: Sequence[Path], gallery: Gallery | None = None
) -> Iterator[Comparison]:
    """Both encoders' answers to every clip, with a gallery's among them."""
    loaded = checkpoint.load(folder, heads=settings.closed_heads)
    if reason := next(filter(None, map(supports, (loaded.model, *loaded.others))), None):
        raise BundleError(f"precision {settings.precision} needs the packed encoder, but {reason}")
    # before the reference encoder rearranges the models
    answers = Answers(loaded, {**guards(folder, loaded), **({VOICES: gallery} if gallery else {})})
    try:
        reduced = PackedEncoder(
            loaded.model, loaded.feature_extractor, "cpu", settings.precision, others=loaded.others
        )
    except ValueError as exc:
        raise BundleError(str(exc)) from exc
    oracle = ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu", loaded.others)
    for clip in track(clips, description=f"{loaded.manifest.name}: {settings.precision} against fp32"):
        try:
            waveform = audio.decode(
                EncodedAudio(clip.read_bytes()),
                sampling_rate=loaded.sampling_rate,
                max_seconds=settings.max_clip_seconds,
                min_samples=oracle.min_samples,
            ).waveform
        except RequestError as exc:
            raise BundleError(f"the calibration clip {clip} cannot be used: {exc.message}") from exc
        (expected, vector), (found, ours_vector) = answers(oracle, waveform), answers(reduced, waveform)
        cosine = torch.cosine_similarity(vector, ours_vector).item()
        yield Comparison(
            clip=clip.name,
            expected=best(expected, loaded),
            found=best(found, loaded),
            drift=max((abs(score - found[key]) for key, score in expected.items()), default=0.0),
            similarity=cosine if has_xvector(loaded) and math.isfinite(cosine) else None,
        )


Scores = dict[tuple[str, str], float]  # head and label → score, the best of a head before its others


def has_xvector(loaded: checkpoint.Checkpoint) -> bool:
    return any(map(is_xvector, (loaded.model, *loaded.others)))


@dataclass(frozen=True)
class Answers:
    """What a caller gets of a clip by default: every head's scores, "unknown" among those of open sets."""

    loaded: checkpoint.Checkpoint
    sets: Mapping[str, OpenSet]

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        return answered(self.loaded.by_head(), self.sets)

    def __call__(self, encoder: Encoder, waveform: Waveform) -> tuple[Scores, torch.Tensor]:
        """Scores and the model's embedding, (1, width)."""
        sizes = {head: len(each) for head, each in self.names.items()}
        joined = Joined(sizes, self.sets)
        sources = (None, *joined.sources(sizes))
        (row, *_), embeddings = encoder.embed([waveform], sources)
        vectors = by_source(encoder, sources, embeddings)
        (row,) = joined.logits(row[None], vectors, sizes, OperatingPoint())
        return self.by_head(row), vectors[None]

    def by_head(self, row: torch.Tensor) -> Scores:
        function: ScoreFunction = "sigmoid" if self.loaded.default_function == "sigmoid" else "softmax"
        parts = labels.parts({head: len(each) for head, each in self.names.items()})
        rankings = {
            head: labels.rank(row[part], self.names[head], len(self.names[head]), function)
            for head, part in parts
        }
        return {
            (head, each["label"]): each["score"] for head, ranking in rankings.items() for each in ranking
        }


def best(scores: Scores, loaded: checkpoint.Checkpoint) -> dict[str, str]:
    """The best label of each checkpoint's head; those of the classifiers that one has several of together."""
    first: dict[str, str] = {}
    for head, label in scores:
        first.setdefault(head, label)
    joined: dict[str, list[str]] = {}
    for head, label in first.items():
        of = head if head == VOICES else head.split(".")[0] if loaded.manifest.heads else ""
        joined.setdefault(of, []).append(label)
    return {head: ", ".join(labels) for head, labels in joined.items()}


def least_agreement(comparisons: Sequence[Comparison]) -> tuple[float, str]:
    """The smallest of the heads' shares of clips that agree, and which head's it is, as a message may name it."""
    shares = {
        head: sum(each.expected[head] == each.found[head] for each in comparisons) / len(comparisons)
        for head in comparisons[0].expected
    }
    if any(each.similarity is not None for each in comparisons):
        shares["the x-vector"] = sum(each.similar for each in comparisons) / len(comparisons)
    worst = min(shares, key=lambda head: shares[head])
    return shares[worst], f" ({worst})" if worst else ""


def report(outcome: PrecisionCheck, changed: Sequence[Comparison]) -> str:
    lines = [
        f"{outcome.precision} against fp32 on {outcome.clips} clips: the same best label on {outcome.agreement:.1%}, "
        f"scores moved by {outcome.median_drift:.4f} (median) and at most {outcome.largest_drift:.4f}"
    ]
    if outcome.least_similarity is not None:
        lines[0] += f"; x-vectors' cosine to fp32's is at least {outcome.least_similarity:.4f}"
    lines += [
        f"  changed: {each.clip}: {words(each.expected)} became {words(each.found)}"
        for each in changed[:SHOWN]
    ]
    if len(changed) > SHOWN:
        lines.append(f"  and {len(changed) - SHOWN} more")
    return "\n".join(lines)


def words(found: Mapping[str, str]) -> str:
    return ", ".join(found.values())
