"""The agreement check: before it gets callers, a new version must answer clips as the old version does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from speaker_id.calibrated import UNKNOWN

from bundle import BundleError
from bundle.layout import CLASSIFIER
from bundle.samples import recordings, samples
from serving.control import Control
from serving.host import local_http
from serving.host.local_http import Answer
from serving.host.polling import wait_until

CLIP_SECONDS = 120.0  # for one answer, under load
FULL_SECONDS, RETRY_SECONDS = 20.0, 1.0  # for which a full queue is retried; between two tries
SHOWN = 5


@dataclass(frozen=True)
class Clip:
    """A recording, and its speaker if known."""

    path: Path
    speaker: str | None = None


Labels = Mapping[str, str]  # the best of every head, by its name; "" is the only one's


@dataclass(frozen=True)
class Answers:
    """What a version answers.

    Attributes:
        best: one a clip.
        known: the labels of each head; none where they cannot be read.
    """

    best: Sequence[Labels]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)


def clips(folder: Path | None) -> list[Clip]:
    """The recordings of a folder SPEAKER/clip; without a folder the demo's samples, unlabelled.

    Raises:
        BundleError: there are none, or they are not in folders of speakers.
    """
    if folder is None:
        return [Clip(sample.path) for sample in samples()]
    if not folder.is_dir():
        raise BundleError(f"DATA={folder} is not a folder")
    found = recordings("DATA", folder)
    if any(path.parent == folder for path in found):
        raise BundleError(
            f"DATA={folder} holds clips outside a speaker's folder: lay them out as SPEAKER/clip.wav"
        )
    return [Clip(path, path.relative_to(folder).parts[0]) for path in found]


def answers(
    control: Control, model: str, version: str, asked: Sequence[Clip], known: Mapping[str, Sequence[str]]
) -> Answers:
    """What one version answers to every clip, with all of its heads.

    Args:
        known: the labels of each head; none where they cannot be read.

    Raises:
        BundleError: it rejects a clip, or does not answer.
    """
    # one at a time, because callers wait for the same workers
    heads = ",".join(filter(None, known))
    found = [best(json.loads(ask(control, model, version, clip, heads).body)) for clip in asked]
    return Answers(found, known)


def answering_version(control: Control, model: str, clip: Clip) -> str:
    """The version that answers a request without one."""
    return ask(control, model, None, clip).headers["x-model-version"]


def ask(control: Control, model: str, version: str | None, clip: Clip, heads: str = "") -> Answer:
    """One clip's answer; retries while the queue is full.

    Raises:
        BundleError: the status is not 200.
    """
    body = clip.path.read_bytes()
    answer: Answer | None = None

    def queued() -> bool:
        nonlocal answer
        answer = control.answer(model, version, body, CLIP_SECONDS, heads)
        return answer.status != HTTPStatus.SERVICE_UNAVAILABLE

    try:
        wait_until(queued, FULL_SECONDS, RETRY_SECONDS)
    except local_http.FAULTS as exc:
        raise BundleError(f"{clip.path.name} is not answered: {type(exc).__name__}") from exc
    assert answer is not None
    if answer.status != 200:
        raise BundleError(f"{clip.path.name} is answered with {answer.status}: {answer.text[:200]}")
    return answer


def best(answer: Any) -> Labels:
    """The best label of a ranking, or of each of several heads."""
    rankings = answer if isinstance(answer, dict) else {"": answer}
    return {head: ranking[0]["label"] for head, ranking in rankings.items()}


def judge(asked: Sequence[Clip], before: Answers, after: Answers, least: float) -> str:
    """The verdict if the new version may serve.

    If the speakers are known, it must be right at least as often as the old version; otherwise it must give the old
    version's best label of every head on a share of the clips. A label that only one of them can give is left out: of
    a voice that came into a gallery or went. "unknown" is no voice: a guard that came is judged by what it changes.

    Args:
        asked: the clips.
        before, after: the old and the new version's answers to them.
        least: that share, 0 to 1.

    Raises:
        BundleError: it may not; the message names clips that changed.
    """
    if asked[0].speaker is not None:
        return judge_right(asked, before, after)
    pairs = [(clip, *alike(old, new)) for clip, old, new in zip(asked, before.best, after.best, strict=True)]
    if missing := [heads for _, old, new in pairs if not (heads := old.keys() & new.keys())]:
        old, new = (", ".join(filter(None, each.best[0])) or "one without a name" for each in (before, after))
        raise BundleError(
            f"{len(missing)} clips cannot be compared: the old version's heads are {old}, now {new}"
        )
    found = [(clip, *compared(old, new, before, after)) for clip, old, new in pairs]
    out = sum(len(old.keys() & new.keys()) for _, old, new in pairs) - sum(len(old) for _, old, _ in found)
    left = [(clip, old, new) for clip, old, new in found if old]
    changed = [(clip, old, new) for clip, old, new in left if old != new]
    without = _without(out, "labels")
    if not left:
        raise BundleError(f"old and new version cannot be compared on any clip{without}: give others, DATA=")
    agreement = 1 - len(changed) / len(left)
    verdict = f"agree on {len(left) - len(changed)} of {len(left)} clips{without}"
    if agreement < least:
        shown = "; ".join(
            f"{clip.path.name} {'/'.join(old)} → {'/'.join(new)}" for clip, old, new in changed[:SHOWN]
        )
        raise BundleError(f"old and new version {verdict}, fewer than the required {least:.1%}: {shown}")
    return f"old and new version {verdict}"


def judge_right(asked: Sequence[Clip], before: Answers, after: Answers) -> str:
    """The same where the speakers are known. One that the new version has no label of is no fault of it."""

    def knows(answers: Answers, clip: Clip) -> bool:
        return any(clip.speaker in labels for labels in answers.known.values())

    left = [
        at
        for at, clip in enumerate(asked)
        if not (knows(before, clip) and not knows(after, clip) and after.known)
    ]
    old, new = (sum(asked[at].speaker in each.best[at].values() for at in left) for each in (before, after))
    verdict = f"right on {new} of {len(left)} clips, the old version on {old}"
    verdict += _without(len(asked) - len(left), "clips")
    if new < old or not left:
        raise BundleError(f"the new version is {verdict}")
    return f"the new version is {verdict}"


def alike(old: Labels, new: Labels) -> tuple[Labels, Labels]:
    """Name the only head of one version as it is called beside a gallery's in the other."""
    named = [
        {CLASSIFIER if not head and CLASSIFIER in other else head: label for head, label in each.items()}
        for each, other in ((old, new), (new, old))
    ]
    return named[0], named[1]


def compared(
    old: Labels, new: Labels, before: Answers, after: Answers
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of the heads that both have, without those of a head where a label is one version's only."""
    both = [
        head
        for head in old
        if head in new
        and old[head] in (*after.known.get(head, (old[head],)), UNKNOWN)
        and new[head] in (*before.known.get(head, (new[head],)), UNKNOWN)
    ]
    return tuple(old[head] for head in both), tuple(new[head] for head in both)


def _without(count: int, what: str) -> str:
    return f", {what} of voices that came or went left out: {count}" if count else ""
